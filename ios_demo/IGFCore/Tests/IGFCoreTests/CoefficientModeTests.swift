import XCTest

@testable import IGFCore

/// Artifacts that end at the coefficients: alpha is the app's own work, and no part of the time.
final class CoefficientModeTests: XCTestCase {
    private let time = FakeTime()
    private let limit = GoldenCase.Limit(maxAbs: 1e-4, meanAbs: 1e-5)

    /// `shared_vectors/matte`, with a limit for the fixture's artifact.
    private func golden() throws -> GoldenCase {
        let shared = try SharedVectors.matte()
        return GoldenCase(
            name: shared.name, guidance: shared.guidance, weakMask: shared.weakMask, alpha: shared.alpha,
            coefficients: shared.coefficients, limits: ["coreml": ["fp16": limit]])
    }

    private func run(_ coefficients: Planes, cpu: Matte? = nil) async throws -> MeasuredRun {
        let golden = try golden()
        let matting = FakeMatting(time: time, matte: Matte(alpha: nil, coefficients: coefficients))
        let subject = MattingSubject(artifact: matting.artifact, computeUnit: .npu, golden: golden) { matting }
        return try await Measurement(plan: .full, time: time, device: FakeDevice())
            .run(subject, golden: golden, cpu: cpu).run
    }

    func testTheGoldenCoefficientsPass() async throws {
        let run = try await run(golden().coefficients)
        XCTAssertEqual(run.invalidReasons, [])
        XCTAssertEqual(run.parity?.passed, true)
        XCTAssertLessThanOrEqual(try XCTUnwrap(run.parity?.alphaMaxAbs), 2e-6)
        XCTAssertEqual(Set(run.stages["inference"] ?? []), [10])
    }

    func testWrongCoefficientsFail() async throws {
        let right = try golden().coefficients
        var corner = right
        corner.values[3 * corner.area] += 0.5
        var swapped = right
        for index in 0..<right.area {
            swapped.values[index] = right.values[2 * right.area + index]
            swapped.values[2 * right.area + index] = right.values[index]
        }
        for wrong in [corner, swapped] {
            let run = try await run(wrong)
            XCTAssertEqual(run.parity?.passed, false)
            XCTAssertEqual(run.parity?.finite, true)
            XCTAssertEqual(run.invalidReasons, ["Parity with the golden matte failed."])
        }
        var broken = right
        broken.values[0] = .nan
        let notFinite = try await run(broken)
        XCTAssertEqual(notFinite.parity?.finite, false)
        XCTAssertFalse(notFinite.valid)
        let flat = try await run(Planes(channels: 4, height: right.height, width: right.width))
        XCTAssertEqual(flat.parity?.constant, true)
        XCTAssertFalse(flat.valid)
    }

    func testTheBitsOfTheCoefficientsAreCompared() async throws {
        let right = try golden().coefficients
        let same = try await run(right, cpu: Matte(alpha: nil, coefficients: right))
        XCTAssertEqual(same.identicalToCpu, true)
        var nudged = right
        nudged.values[0] = nudged.values[0].nextUp
        let other = try await run(nudged, cpu: Matte(alpha: nil, coefficients: right))
        XCTAssertEqual(other.identicalToCpu, false)
        XCTAssertTrue(other.valid)
        XCTAssertFalse(Matte(alpha: nil, coefficients: right).isIdentical(to: Fixtures.matte))
    }

    func testVerification() async throws {
        let golden = try golden()
        let matting = FakeMatting(time: time, matte: Matte(alpha: nil, coefficients: golden.coefficients))
        let subject = MattingSubject(artifact: matting.artifact, computeUnit: .npu, golden: golden) { matting }
        let result = await Verification(of: subject, golden: golden)
        XCTAssertTrue(result.passed)
    }
}
