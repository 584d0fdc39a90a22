import Foundation

/// Decode, or throw an `IGFError` that names the file and the field.
func decode<Value: Decodable>(_ type: Value.Type, from json: Data, called name: String) throws -> Value {
    do {
        return try JSONDecoder().decode(type, from: json)
    } catch let error as DecodingError {
        throw IGFError("\(name): \(error.place)\(error.complaint)")
    } catch {
        throw IGFError("\(name) is not readable JSON: \(error)")
    }
}

extension DecodingError {
    private var context: Context? {
        switch self {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
            .dataCorrupted(let context):
            return context
        @unknown default:
            return nil
        }
    }

    /// For example "artifacts.3.inputs.0.shape: ".
    fileprivate var place: String {
        var path = context?.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue } ?? []
        if case .keyNotFound(let key, _) = self { path.append(key.stringValue) }
        return path.isEmpty ? "" : path.joined(separator: ".") + ": "
    }

    fileprivate var complaint: String {
        if case .keyNotFound = self { return "missing" }
        return context?.debugDescription ?? "not readable"
    }
}

/// A field that is written as null when it is nil; the report's schema has no absent fields.
@propertyWrapper
public struct OrNull<Value: Codable & Equatable & Sendable>: Codable, Equatable, Sendable {
    public var wrappedValue: Value?

    public init(wrappedValue: Value?) {
        self.wrappedValue = wrappedValue
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue {
            try container.encode(wrappedValue)
        } else {
            try container.encodeNil()
        }
    }
}
