package igf.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class JsonTest {
    @Test
    fun readsAllKindsOfValues() {
        val value = Json.parse(""" {"a": [1, -2.5e3, true, false, null], "b": {"c": "\u00e9\n\"\\/"}} """)
        assertEquals(mapOf("a" to listOf(1.0, -2500.0, true, false, null), "b" to mapOf("c" to "é\n\"\\/")), value)
    }

    @Test
    fun writesWhatItReads() {
        val value = mapOf("text" to "a\"b\\\u0001 é", "list" to listOf(1.5, true, null), "empty" to emptyList<Any>())
        for (indent in listOf(0, 2)) assertEquals(value, Json.parse(Json.write(value, indent)))
    }

    @Test
    fun keepsEverySampleExactly() {
        val samples = List(100) { 1.0 / (it + 3) }
        assertEquals(samples, Json.parse(Json.write(samples)))
    }

    @Test
    fun refusesWhatIsNotJson() {
        val texts = listOf(
            "", "{", "[1,]", "{\"a\":1,}", "01", "+1", ".5", "NaN", "\"\n\"", "\"\\x\"", "[1] 2", "{\"a\":1,\"a\":2}", "1e999",
            "[".repeat(100) + "]".repeat(100),
        )
        for (text in texts) assertThrows(text, IgfException::class.java) { Json.parse(text) }
    }

    @Test
    fun refusesToWriteNotANumber() {
        assertThrows(IllegalArgumentException::class.java) { Json.write(listOf(Double.NaN)) }
        assertThrows(IllegalArgumentException::class.java) { Json.write(Double.POSITIVE_INFINITY) }
    }

    @Test
    fun namesTheFieldThatIsWrong() {
        val fields = JsonFields.parse("""{"a": {"b": "x"}, "n": 1.5}""", "f.json")
        val absent = assertThrows(IgfException::class.java) { fields.child("a").text("c") }
        assertEquals("f.json.a.c is absent, not a text", absent.message)
        val wrong = assertThrows(IgfException::class.java) { fields.integer("n") }
        assertTrue(wrong.message!!, wrong.message!!.startsWith("f.json.n is 1.5, not a whole number"))
    }
}
