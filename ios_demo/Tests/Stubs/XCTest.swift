// A stub; see README.md. Linux has an XCTest of its own, without attachments.
@_exported import Foundation

open class XCTestCase { public func add(_ attachment: XCTAttachment) {} }
public final class XCTAttachment {
    public enum Lifetime: Int { case keepAlways, deleteOnSuccess }
    public init(contentsOfFile url: URL) {}
    public var name: String?
    public var lifetime = Lifetime.deleteOnSuccess
}
public func XCTAssertEqual<T: Equatable>(
    _ one: @autoclosure () throws -> T, _ other: @autoclosure () throws -> T, _ message: @autoclosure () -> String = ""
) {}
public func XCTAssertLessThan<T: Comparable>(
    _ one: @autoclosure () throws -> T, _ other: @autoclosure () throws -> T, _ message: @autoclosure () -> String = ""
) {}
public func XCTAssertFalse(_ expression: @autoclosure () throws -> Bool, _ message: @autoclosure () -> String = "") {}
