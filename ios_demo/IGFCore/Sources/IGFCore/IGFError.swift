/// A problem a person can act on, in one line that names the value and the choices.
public struct IGFError: Error, Equatable, CustomStringConvertible, Sendable {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}
