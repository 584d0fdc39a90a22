package igf.core

/** JSON (RFC 8259) to and from Kotlin values: Map, List, String, Double, Boolean, null. */
object Json {
    private const val MAX_DEPTH = 64

    /**
     * The value of a whole document.
     *
     * @throws IgfException when [text] is not one JSON document; the message names the position.
     */
    fun parse(text: String): Any? = Parser(text).document()

    /**
     * [value] as JSON on one line, or with [indent] spaces a level.
     *
     * @throws IllegalArgumentException for NaN, an infinity or a type that JSON has not.
     */
    fun write(value: Any?, indent: Int = 0): String = StringBuilder().also { Writer(it, indent).value(value, 0) }.toString()

    private class Parser(private val text: String) {
        private var at = 0

        fun document(): Any? {
            val value = value(0)
            skipSpace()
            if (at != text.length) fail("unexpected text after the document")
            return value
        }

        private fun value(depth: Int): Any? {
            if (depth > MAX_DEPTH) fail("nested more than $MAX_DEPTH deep")
            skipSpace()
            return when (peek()) {
                '{' -> objectValue(depth)
                '[' -> arrayValue(depth)
                '"' -> string()
                't' -> word("true", true)
                'f' -> word("false", false)
                'n' -> word("null", null)
                else -> number()
            }
        }

        private fun objectValue(depth: Int): Map<String, Any?> {
            val map = LinkedHashMap<String, Any?>()
            list('{', '}') {
                val key = string()
                expect(':')
                if (map.containsKey(key)) fail("the key \"$key\" twice")
                map[key] = value(depth + 1)
            }
            return map
        }

        private fun arrayValue(depth: Int): List<Any?> {
            val values = ArrayList<Any?>()
            list('[', ']') { values.add(value(depth + 1)) }
            return values
        }

        private inline fun list(open: Char, close: Char, element: () -> Unit) {
            expect(open)
            skipSpace()
            if (peek() == close) {
                at++
                return
            }
            while (true) {
                skipSpace()
                element()
                skipSpace()
                if (peek() == close) break
                expect(',')
            }
            at++
        }

        private fun string(): String {
            expect('"')
            val result = StringBuilder()
            while (true) {
                val char = next()
                when {
                    char == '"' -> return result.toString()
                    char == '\\' -> result.append(escaped())
                    char < ' ' -> fail("a control character in a string")
                    else -> result.append(char)
                }
            }
        }

        private fun escaped(): Char = when (val char = next()) {
            '"', '\\', '/' -> char
            'b' -> '\b'
            'f' -> '\u000c'
            'n' -> '\n'
            'r' -> '\r'
            't' -> '\t'
            'u' -> {
                val digits = (1..4).map { next() }.joinToString("")
                (digits.toIntOrNull(16) ?: fail("\\u$digits is no character")).toChar()
            }
            else -> fail("\\$char is no escape")
        }

        private fun number(): Double {
            val match = NUMBER.find(text, at)?.takeIf { it.range.first == at } ?: fail("no JSON value")
            at = match.range.last + 1
            return match.value.toDouble().also { if (it.isInfinite()) fail("${match.value} is out of range") }
        }

        private fun <T> word(word: String, value: T): T {
            if (!text.startsWith(word, at)) fail("no JSON value")
            at += word.length
            return value
        }

        private fun expect(char: Char) {
            skipSpace()
            if (peek() != char) fail("expected '$char'")
            at++
        }

        private fun peek(): Char = if (at < text.length) text[at] else fail("the text ends early")

        private fun next(): Char = peek().also { at++ }

        private fun skipSpace() {
            while (at < text.length && text[at] in " \t\r\n") at++
        }

        private fun fail(what: String): Nothing = throw IgfException("not JSON: $what at character $at")
    }

    private class Writer(private val out: StringBuilder, private val indent: Int) {
        fun value(value: Any?, depth: Int) {
            when (value) {
                null -> out.append("null")
                is Boolean, is Int, is Long -> out.append(value)
                is Double -> out.append(decimal(value))
                is String -> string(value)
                is Map<*, *> -> block('{', '}', value.entries, depth) {
                    string(it.key as String)
                    out.append(if (indent > 0) ": " else ":")
                    value(it.value, depth + 1)
                }
                is List<*> -> block('[', ']', value, depth) { value(it, depth + 1) }
                else -> throw IllegalArgumentException("JSON has no ${value.javaClass.name}")
            }
        }

        private fun decimal(value: Double): String {
            require(!value.isNaN() && !value.isInfinite()) { "JSON has no $value" }
            return value.toString()
        }

        private fun <T> block(open: Char, close: Char, items: Collection<T>, depth: Int, item: (T) -> Unit) {
            // A list of numbers stays on one line: samples come in thousands.
            val flat = indent == 0 || items.isEmpty() || items.all { it is Number }
            out.append(open)
            items.forEachIndexed { index, element ->
                if (index > 0) out.append(if (flat && indent > 0) ", " else ",")
                if (!flat) newLine(depth + 1)
                item(element)
            }
            if (!flat) newLine(depth)
            out.append(close)
        }

        private fun newLine(depth: Int) {
            out.append('\n').append(" ".repeat(indent * depth))
        }

        private fun string(text: String) {
            out.append('"')
            for (char in text) {
                when {
                    char == '"' || char == '\\' -> out.append('\\').append(char)
                    char == '\n' -> out.append("\\n")
                    char < ' ' || char in '\ud800'..'\udfff' -> out.append("\\u%04x".format(char.code))
                    else -> out.append(char)
                }
            }
            out.append('"')
        }
    }

    private val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
}
