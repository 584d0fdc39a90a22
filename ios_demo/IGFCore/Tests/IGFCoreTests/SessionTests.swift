import XCTest

@testable import IGFCore

final class SessionTests: XCTestCase {
    private let time = FakeTime()

    private func subject(_ unit: ComputeUnit, matte: Matte = Fixtures.matte, failure: IGFError? = nil) -> MattingSubject
    {
        let time = time
        return MattingSubject(artifact: Fixtures.artifact(), computeUnit: unit, golden: Fixtures.golden()) {
            FakeMatting(time: time, matte: matte, runMs: [2000], failure: failure)
        }
    }

    private func report() -> LatencyReport {
        let manifest = Manifest(name: "igf-8", version: "0.1.0", artifacts: [])
        return LatencyReport(
            kind: .fixture, createdAt: Date(timeIntervalSince1970: 0), app: .init(name: "IGF", version: "1"),
            build: .init(manifest: manifest, json: Data()),
            device: .init(model: "m", os: "iOS", osVersion: "18", osBuild: nil, cores: nil, memoryBytes: nil), runs: [])
    }

    func testTheCPUGoesFirstAndTheOthersAreComparedWithIt() async throws {
        let folder = try temporaryFolder(self)
        let session = MeasurementSession(
            measurement: Measurement(plan: .full, time: time, device: FakeDevice()), golden: Fixtures.golden(),
            folder: folder, today: { Date(timeIntervalSince1970: 1_795_384_800) })
        let written = Written()
        let result = try await session.run([subject(.npu), subject(.cpu)], report: report()) { _ in
        } finished: { _ in
            written.note(folder)
        }
        XCTAssertEqual(result.runs.map(\.computeUnitRequested), [.cpu, .npu])
        XCTAssertEqual(result.runs.map(\.identicalToCpu), [nil, true])
        XCTAssertEqual(result.runs.map(\.valid), [true, false])
        XCTAssertEqual(written.counts, [1, 2], "written again after each run")
        XCTAssertEqual(result.createdAt, "2026-11-22T22:00:00Z")
    }

    func testOneFailureDoesNotEndTheOthers() async throws {
        let folder = try temporaryFolder(self)
        let session = MeasurementSession(
            measurement: Measurement(plan: .full, time: time, device: FakeDevice()), golden: Fixtures.golden(),
            folder: folder)
        let result = try await session.run(
            [subject(.cpu, failure: IGFError("no")), subject(.gpu)], report: report())
        XCTAssertEqual(result.runs.map(\.error), ["no", nil])
        XCTAssertEqual(result.runs.map(\.valid), [false, true])
        XCTAssertNil(result.runs[1].identicalToCpu, "there is no CPU output to compare with")
    }

    func testAnOlderReportIsNotTakenForThisOne() async throws {
        let folder = try temporaryFolder(self)
        let file = folder.appendingPathComponent(LatencyReport.fileName)
        try Data("an older report".utf8).write(to: file)
        let session = MeasurementSession(
            measurement: Measurement(plan: .full, time: time, device: FakeDevice()), golden: Fixtures.golden(),
            folder: folder)
        _ = try await session.run([], report: report())
        XCTAssertFalse(FileManager.default.fileExists(atPath: file.path))
    }

    func testVerification() async {
        let good = await Verification(of: subject(.npu), golden: Fixtures.golden())
        XCTAssertTrue(good.passed)
        XCTAssertEqual(good.residency?.unit, .npu)
        let flat = Matte(
            alpha: Planes(channels: 1, height: 8, width: 8), coefficients: Fixtures.matte.coefficients)
        let bad = await Verification(of: subject(.npu, matte: flat), golden: Fixtures.golden())
        XCTAssertFalse(bad.passed)
        XCTAssertNotNil(bad.parity)
        let broken = await Verification(of: subject(.npu, failure: IGFError("no")), golden: Fixtures.golden())
        XCTAssertFalse(broken.passed)
        XCTAssertEqual(broken.error, "no")
    }

    /// The real build, where there is one: `IGF_BUILD` names it, `make ios-check` sets it.
    func testAnExportedBuildIsWhatItsManifestSays() throws {
        guard let path = ProcessInfo.processInfo.environment["IGF_BUILD"] else {
            throw XCTSkip("IGF_BUILD is not set")
        }
        let build = URL(fileURLWithPath: path)
        let manifest = try Manifest(json: Data(contentsOf: build.appendingPathComponent(Manifest.fileName)))
        let golden = try GoldenCase(folder: build.appendingPathComponent("device_case"))
        let artifacts = manifest.artifacts(of: "coreml") + manifest.artifacts(of: "executorch")
        XCTAssertFalse(artifacts.isEmpty)
        for artifact in artifacts {
            try artifact.verify(at: build.appendingPathComponent(artifact.file))
            _ = try golden.limit(of: artifact)
            for (spec, planes) in [
                (artifact.alpha, golden.alpha), (try artifact.output(TensorName.coefficients), golden.coefficients),
            ] {
                guard let spec else { continue }
                XCTAssertEqual([spec.height, spec.width], [planes.height, planes.width])
            }
        }
        let alpha = try applyCoefficients(golden.coefficients, to: golden.guidance)
        XCTAssertLessThan(largestDistance(alpha, golden.alpha), 2e-5)
    }
}

/// How many runs the report on the disk had each time it was looked at.
private final class Written: @unchecked Sendable {
    private(set) var counts: [Int] = []

    func note(_ folder: URL) {
        let data = try? Data(contentsOf: folder.appendingPathComponent(LatencyReport.fileName))
        counts.append(data.flatMap { try? JSONDecoder().decode(LatencyReport.self, from: $0) }?.runs.count ?? -1)
    }
}
