package igf.core

/** Something the user can act on; the message is one sentence with the value and the choices. */
class IgfException(message: String) : Exception(message)
