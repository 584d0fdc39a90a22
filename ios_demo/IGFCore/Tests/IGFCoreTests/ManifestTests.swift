import XCTest

@testable import IGFCore

final class ManifestTests: XCTestCase {
    private func json(_ change: (inout [String: Any]) -> Void = { _ in }) throws -> Data {
        let manifest = Manifest(name: "igf-8", version: "0.1.0", artifacts: [Fixtures.artifact()])
        var object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(manifest)) as! [String: Any]
        object["tools"] = ["torch": "2.13.0"]  // what an app does not need is skipped
        change(&object)
        return try JSONSerialization.data(withJSONObject: object)
    }

    private func changed(_ change: @escaping (inout [String: Any]) -> Void) throws -> Data {
        try json { object in
            var artifacts = object["artifacts"] as! [[String: Any]]
            change(&artifacts[0])
            object["artifacts"] = artifacts
        }
    }

    private func changedInput(_ key: String, _ value: Any) throws -> Data {
        try changed { artifact in
            var inputs = artifact["inputs"] as! [[String: Any]]
            inputs[0][key] = value
            artifact["inputs"] = inputs
        }
    }

    func testItIsRead() throws {
        let manifest = try Manifest(json: json())
        XCTAssertEqual(manifest.artifacts, [Fixtures.artifact()])
        XCTAssertEqual(manifest.artifacts(of: "coreml").count, 1)
        XCTAssertEqual(manifest.artifacts(of: "litert"), [])
        let guidance = try manifest.artifacts[0].input("guidance")
        XCTAssertEqual([guidance.height, guidance.width, guidance.count], [8, 8, 192])
        assertThrows("has no output mask; it has: alpha, coefficients") { _ = try manifest.artifacts[0].output("mask") }
    }

    func testAnArtifactMayEndAtTheCoefficients() throws {
        let data = try changed { $0["outputs"] = [($0["outputs"] as! [[String: Any]])[1]] }
        let artifact = try Manifest(json: data).artifacts[0]
        XCTAssertNil(artifact.alpha)
        XCTAssertEqual(try artifact.output("coefficients").shape, [1, 4, 2, 2])
        XCTAssertEqual(Fixtures.artifact().alpha?.shape, [1, 1, 8, 8])
    }

    func testAnArtifactWithoutCoefficientsIsNamed() throws {
        let data = try changed { $0["outputs"] = [($0["outputs"] as! [[String: Any]])[0]] }
        assertThrows("igf-8-coreml-fp16.mlpackage has no output coefficients; it has: alpha") {
            _ = try Manifest(json: data)
        }
    }

    func testTheNhwcSizeIsNotTheNchwSize() {
        let spec = Fixtures.spec("guidance", [1, 5, 7, 3], ChannelOrder.guidance, layout: .nhwc)
        XCTAssertEqual([spec.height, spec.width], [5, 7])
    }

    func testWhatIsNoManifestIsRefused() throws {
        assertThrows("manifest.json: ") { _ = try Manifest(json: Data("{".utf8)) }
        assertThrows("manifest.json: schema_version: missing") { _ = try Manifest(json: Data("{}".utf8)) }
        let other = try json { $0["schema_version"] = 2 }
        assertThrows("schema version 2; this app reads 1") { _ = try Manifest(json: other) }
        let unnamed = try changed { $0["sha256"] = nil }
        assertThrows("artifacts.0.sha256: missing") { _ = try Manifest(json: unnamed) }
        let elsewhere = try changed { $0["file"] = "../secret" }
        assertThrows("the file '../secret', which is not a name beside it") { _ = try Manifest(json: elsewhere) }
    }

    func testATensorThatMakesNoSenseIsRefused() throws {
        let cases: [(String, Any, String)] = [
            ("shape", [1, 3, 8], "not four dimensions"),
            ("shape", [2, 3, 8, 8], "a batch of 1"),
            ("shape", [1, 4, 8, 8], "4 channels in NCHW"),
            ("layout", "NHWC", "8 channels in NHWC"),
            ("layout", "CHW", "artifacts.0.inputs.0.layout"),
            ("dtype", "int8", "artifacts.0.inputs.0.dtype"),
            ("maximum", 0.0, "the range 0.0 to 0.0"),
            ("name", "picture", "has no input guidance"),
        ]
        for (key, value, words) in cases {
            let data = try changedInput(key, value)
            assertThrows(words) { _ = try Manifest(json: data) }
        }
    }

    func testAFileIsHeldToItsChecksum() throws {
        let folder = try temporaryFolder(self)
        let file = folder.appendingPathComponent("abc")
        try Data("abc".utf8).write(to: file)
        // FIPS 180-4's own example.
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        XCTAssertNoThrow(try Fixtures.artifact(sha256: digest).verify(at: file))
        assertThrows("the manifest says aaaaaaaaaaaa") { try Fixtures.artifact().verify(at: file) }
        assertThrows("is not in the app") {
            try Fixtures.artifact().verify(at: folder.appendingPathComponent("absent"))
        }
    }

    func testChecksumsOfOtherLengths() {
        // From coreutils' sha256sum: nothing, 55, 56, 64 and 1000 times the letter a.
        let known = [
            0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            55: "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318",
            56: "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a",
            64: "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb",
            1000: "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3",
        ]
        for (count, digest) in known {
            XCTAssertEqual(SHA256.hex(of: Data(repeating: 0x61, count: count)), digest, "\(count)")
        }
    }

    func testAFolderIsItsFilesByName() throws {
        let folder = try temporaryFolder(self).appendingPathComponent("model.mlpackage")
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("Data/weights"), withIntermediateDirectories: true)
        try Data("model".utf8).write(to: folder.appendingPathComponent("Data/model.mlmodel"))
        try Data("weights".utf8).write(to: folder.appendingPathComponent("Data/weights/weight.bin"))
        try Data("{}".utf8).write(to: folder.appendingPathComponent("Manifest.json"))
        // What igf_mobile.files.sha256_of gives for the same three files.
        XCTAssertEqual(
            try ArtifactRecord.sha256(of: folder), "5bb2d5882527d450007fb782c02330eba6c7e41f49e135aff1bfe6481dba8da7")
    }
}
