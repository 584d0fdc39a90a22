import XCTest

@testable import IGFCore

final class ParityTests: XCTestCase {
    private let limit = GoldenCase.Limit(maxAbs: 0.01, meanAbs: 0.001)

    private func parity(alpha: Planes, coefficients: Planes = Fixtures.matte.coefficients) throws -> Parity {
        try Parity(of: Matte(alpha: alpha, coefficients: coefficients), against: Fixtures.golden(), limit: limit)
    }

    func testTheGoldenAlphaPasses() throws {
        let result = try parity(alpha: Fixtures.alpha)
        XCTAssertTrue(result.passed)
        XCTAssertEqual(result.alphaMaxAbs, 0)
        XCTAssertEqual(result.case, "fixture")
    }

    func testEachLimitCounts() throws {
        var one = Fixtures.alpha
        one.values[0] += 0.02
        XCTAssertFalse(try parity(alpha: one).passed, "one value too far, the mean is fine")
        var all = Fixtures.alpha
        for index in all.values.indices { all.values[index] += 0.002 }
        XCTAssertFalse(try parity(alpha: all).passed, "no value too far, the mean is")
    }

    func testNaNFailsWhereverItIs() throws {
        var alpha = Fixtures.alpha
        alpha.values[3] = .nan
        let result = try parity(alpha: alpha)
        XCTAssertFalse(result.passed)
        XCTAssertFalse(result.finite)
        XCTAssertNil(result.alphaMaxAbs)
        var coefficients = Fixtures.matte.coefficients
        coefficients.values[0] = .infinity
        XCTAssertFalse(try parity(alpha: Fixtures.alpha, coefficients: coefficients).passed)
    }

    func testAConstantFailsEvenWithinTheLimits() throws {
        let wide = GoldenCase.Limit(maxAbs: 10, meanAbs: 10)
        let flat = Matte(
            alpha: Planes(channels: 1, height: 8, width: 8, repeating: 0.5), coefficients: Fixtures.matte.coefficients)
        let result = try Parity(of: flat, against: Fixtures.golden(), limit: wide)
        XCTAssertTrue(result.constant)
        XCTAssertFalse(result.passed)
    }

    func testAnotherSizeIsAnError() {
        assertThrows("alpha has 8 x 4 pixels, the case fixture 8 x 8") {
            _ = try parity(alpha: Fixtures.ramp(1, 4, 8))
        }
    }

    func testResidencyFromAPlan() {
        let mixed = Residency(plannedOperators: [.cpu: 2, .npu: 38], undecided: 1)
        XCTAssertEqual(mixed.unit, .mixed)
        XCTAssertEqual(mixed.evidence, "MLComputePlan's preferred device by operator: cpu 2, npu 38, undecided 1.")
        XCTAssertEqual(Residency(plannedOperators: [.npu: 40, .cpu: 0], undecided: 0).unit, .npu)
        XCTAssertEqual(Residency(plannedOperators: [:], undecided: 0).unit, .unknown)
    }
}
