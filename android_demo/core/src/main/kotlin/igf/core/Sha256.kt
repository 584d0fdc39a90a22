package igf.core

import java.security.MessageDigest

/** SHA-256 of [bytes] in lower-case hexadecimal. */
fun sha256(bytes: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }
