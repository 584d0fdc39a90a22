import Foundation
import XCTest

@testable import IGFCore

/// The repository's golden cases, found from this file's own place.
enum SharedVectors {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../../shared_vectors").standardizedFileURL

    static func matte() throws -> GoldenCase {
        try GoldenCase(folder: folder.appendingPathComponent("matte"))
    }
}

/// A folder that is removed when the test ends.
func temporaryFolder(_ test: XCTestCase) throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    test.addTeardownBlock { try FileManager.default.removeItem(at: folder) }
    return folder
}

/// Asserts that `body` throws an `IGFError` whose text contains `words`.
func assertThrows(_ words: String, file: StaticString = #filePath, line: UInt = #line, _ body: () throws -> Void) {
    XCTAssertThrowsError(try body(), file: file, line: line) { error in
        guard let error = error as? IGFError else { return XCTFail("\(error) is no IGFError", file: file, line: line) }
        XCTAssertTrue(error.description.contains(words), "'\(error)' lacks '\(words)'", file: file, line: line)
        XCTAssertFalse(error.description.contains("\n"), "more than one line", file: file, line: line)
    }
}
