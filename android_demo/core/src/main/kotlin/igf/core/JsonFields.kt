package igf.core

/** Typed access to a parsed JSON object; a wrong field is named with its path. */
class JsonFields(private val map: Map<String, Any?>, private val path: String) {
    fun text(key: String): String = typed(key, "a text")

    fun integer(key: String): Long {
        val number: Double = typed(key, "a whole number")
        if (number != Math.rint(number)) throw wrong(key, "a whole number")
        return number.toLong()
    }

    fun number(key: String): Double = typed(key, "a number")

    /** null where the field is absent or null. */
    fun numberOrNull(key: String): Double? = if (map[key] == null) null else number(key)

    fun texts(key: String): List<String> =
        list(key).map { it as? String ?: throw wrong(key, "a list of texts") }

    fun integers(key: String): List<Int> =
        list(key).map { (it as? Double)?.toInt() ?: throw wrong(key, "a list of whole numbers") }

    fun numbers(key: String): List<Double> =
        list(key).map { it as? Double ?: throw wrong(key, "a list of numbers") }

    fun child(key: String): JsonFields = of(map[key], "$path.$key")

    /** null where the field is absent. */
    fun childOrNull(key: String): JsonFields? = if (key in map) child(key) else null

    fun children(key: String): List<JsonFields> =
        list(key).mapIndexed { index, value -> of(value, "$path.$key[$index]") }

    /** Every field, each an object. */
    fun children(): Map<String, JsonFields> = map.keys.associateWith(::child)

    private fun list(key: String): List<Any?> = typed(key, "a list")

    private inline fun <reified T> typed(key: String, kind: String): T = map[key] as? T ?: throw wrong(key, kind)

    private fun wrong(key: String, kind: String): IgfException {
        val found = if (key in map) Json.write(map[key]).take(40) else "absent"
        return IgfException("$path.$key is $found, not $kind")
    }

    companion object {
        /** The object of a whole document; [name] stands for it in messages. */
        fun parse(text: String, name: String): JsonFields = try {
            of(Json.parse(text), name)
        } catch (error: IgfException) {
            throw IgfException("$name: ${error.message}")
        }

        private fun of(value: Any?, path: String): JsonFields {
            if (value !is Map<*, *>) throw IgfException("$path is not a JSON object")
            @Suppress("UNCHECKED_CAST")
            return JsonFields(value as Map<String, Any?>, path)
        }
    }
}
