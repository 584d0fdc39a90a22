import XCTest

@testable import IGFCore

final class ReportTests: XCTestCase {
    private func report(
        _ runs: [MeasuredRun], of artifact: ArtifactRecord = Fixtures.artifact()
    ) -> LatencyReport {
        let manifest = Manifest(name: "igf-8", version: "0.1.0", artifacts: [artifact])
        return LatencyReport(
            kind: .fixture, createdAt: Date(timeIntervalSince1970: 1_795_384_800),
            app: .init(name: "IGF", version: "1.0"), build: .init(manifest: manifest, json: Data("abc".utf8)),
            device: .init(model: "iPhone17,1", os: "iOS", osVersion: "18.2", osBuild: nil, cores: 6, memoryBytes: nil),
            runs: runs)
    }

    private func failedRun() -> MeasuredRun {
        var run = MeasuredRun(
            artifact: Fixtures.artifact(), computeUnit: .npu,
            conditions: .init(
                power: .unknown, batteryLevel: nil, lowPowerMode: nil, thermalStart: .unknown, thermalEnd: .unknown))
        run.error = "no"
        run.judge(by: .full)
        return run
    }

    func testWhatIsMissingIsNullAndNothingIsLeftOut() throws {
        let object = try JSONSerialization.jsonObject(with: report([failedRun()]).json()) as! [String: Any]
        XCTAssertEqual(object["created_at"] as? String, "2026-11-22T22:00:00Z")
        XCTAssertEqual(object["kind"] as? String, "fixture")
        let device = object["device"] as! [String: Any]
        XCTAssertTrue(device["memory_bytes"] is NSNull)
        XCTAssertTrue(device["os_build"] is NSNull)
        let run = (object["runs"] as! [[String: Any]])[0]
        for key in ["threads", "load_ms", "first_ms", "duration_s", "sustained", "parity", "identical_to_cpu"] {
            XCTAssertTrue(run[key] is NSNull, key)
        }
        XCTAssertEqual((run["stages"] as! [String: [Double]]), ["inference": []])
        XCTAssertEqual(run["valid"] as? Bool, false)
    }

    func testItSaysWhereTheArtifactsEnd() throws {
        let whole = Fixtures.artifact()
        let half = ArtifactRecord(
            file: whole.file, sha256: whole.sha256, bytes: whole.bytes, backend: whole.backend, scheme: whole.scheme,
            inputs: whole.inputs, outputs: [try whole.output(TensorName.coefficients)])
        for (artifact, expected) in [(whole, false), (half, true)] {
            let json = try report([], of: artifact).json()
            let object = try JSONSerialization.jsonObject(with: json) as! [String: Any]
            XCTAssertEqual((object["build"] as! [String: Any])["coefficients_only"] as? Bool, expected)
        }
    }

    func testItIsReadBackAsItWas() throws {
        let written = report([failedRun()])
        XCTAssertEqual(try JSONDecoder().decode(LatencyReport.self, from: written.json()), written)
    }

    func testItIsWrittenWholeOrNotAtAll() throws {
        let folder = try temporaryFolder(self)
        let file = try report([failedRun()]).write(into: folder)
        XCTAssertEqual(file.lastPathComponent, "latency_report.json")
        XCTAssertEqual(try Data(contentsOf: file), try report([failedRun()]).json())
        assertThrows("latency_report.json cannot be written to absent") {
            try report([]).write(into: folder.appendingPathComponent("absent"))
        }
    }

    /// `make ios-check` hands this file to the desktop's checks.
    func testAReportForTheSchema() async throws {
        let time = FakeTime()
        let golden = Fixtures.golden()
        var plan = MeasurementPlan.full
        plan.sustainedSeconds = 60
        let stages: [(Stage, MattingSubject.Work)] = [
            (.convert, { _, _ in time.advance(ms: 3) }), (.apply, { _, _ in time.advance(ms: 1) }),
            (.composite, { _, _ in time.advance(ms: 0.5) }),
        ]
        let subject = MattingSubject(
            artifact: Fixtures.artifact(), computeUnit: .npu, golden: golden, stages: stages
        ) {
            time.advance(ms: 85.3)
            return FakeMatting(time: time, runMs: [501.7])
        }
        let (run, _) = try await Measurement(plan: plan, time: time, device: FakeDevice())
            .run(subject, golden: golden, cpu: nil)
        XCTAssertTrue(run.valid)
        let document = report([run, failedRun()])
        if let folder = ProcessInfo.processInfo.environment["IGF_REPORT_FOLDER"] {
            try document.write(into: URL(fileURLWithPath: folder))
        }
        XCTAssertEqual(document.runs.count, 2)
    }

    // MARK: Percentiles and gates without golden cases

    func testPercentilesOfNothingAreErrors() {
        assertThrows("percentile of no samples") { _ = try percentile([], 50) }
        assertThrows("percent 0.0 is not in (0, 100]") { _ = try percentile([1], 0) }
        assertThrows("percent 101.0 is not in (0, 100]") { _ = try percentile([1], 101) }
        assertThrows("samples with NaN") { _ = try percentile([1, .nan], 50) }
        XCTAssertNil(share(of: [], within: 16.7))
        XCTAssertEqual(share(of: [16.7, 16.8], within: 16.7), 0.5)
    }

    func testFramesAreDroppedWhileBusy() {
        let gate = FrameGate()
        XCTAssertTrue(gate.enter())
        XCTAssertFalse(gate.enter())
        XCTAssertFalse(gate.enter())
        gate.leave()
        XCTAssertTrue(gate.enter())
        XCTAssertEqual(gate.frames.entered, 2)
        XCTAssertEqual(gate.frames.dropped, 2)
    }

    func testTheSystemsClockGoesForwards() async throws {
        let time = SystemTime()
        let start = time.nowMs()
        try await time.sleep(seconds: 0.02)
        XCTAssertGreaterThanOrEqual(time.nowMs() - start, 19)
        XCTAssertLessThan(time.nowMs() - start, 5000)
    }
}
