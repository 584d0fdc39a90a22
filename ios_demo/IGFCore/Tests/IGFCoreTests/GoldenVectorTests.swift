import XCTest

@testable import IGFCore

/// The cases that Python and Kotlin hold to as well.
final class GoldenVectorTests: XCTestCase {
    /// Float32 in another order of additions than torch's; about 1e-7 was measured.
    private let tolerance: Float = 2e-6

    func testPercentiles() throws {
        struct File: Decodable {
            struct Case: Decodable {
                let samples: [Double]
                let percent: Double
                let value: Double
            }
            let cases: [Case]
        }
        let json = try Data(contentsOf: SharedVectors.folder.appendingPathComponent("percentile.json"))
        let cases = try JSONDecoder().decode(File.self, from: json).cases
        XCTAssertGreaterThan(cases.count, 10)
        for golden in cases {
            XCTAssertEqual(try percentile(golden.samples, golden.percent), golden.value, "p\(golden.percent)")
        }
    }

    func testSummariesOfTheSharedReport() throws {
        struct Run: Decodable {
            let stages: [String: [Double]]
            let summary: [String: LatencySummary]
        }
        struct File: Decodable { let runs: [Run] }
        let json = try Data(contentsOf: SharedVectors.folder.appendingPathComponent("latency_report.json"))
        var compared = 0
        for run in try JSONDecoder().decode(File.self, from: json).runs {
            for (stage, summary) in run.summary {
                XCTAssertEqual(try LatencySummary(of: run.stages[stage] ?? []), summary, stage)
                compared += 1
            }
        }
        XCTAssertGreaterThanOrEqual(compared, 10)
    }

    func testCoefficientsGiveTheGoldenAlpha() throws {
        let golden = try SharedVectors.matte()
        let alpha = try applyCoefficients(golden.coefficients, to: golden.guidance)
        XCTAssertLessThanOrEqual(largestDistance(alpha, golden.alpha), tolerance)
        XCTAssertFalse(golden.alpha.isConstant)
    }

    func testMutantsDoNotGiveTheGoldenAlpha() throws {
        let golden = try SharedVectors.matte()
        let picture = golden.guidance
        let area = picture.area
        let swapped = Planes(
            channels: 3, height: picture.height, width: picture.width,
            values: Array(picture.values[(2 * area)...] + picture.values[area..<2 * area] + picture.values[..<area])
        )
        let alpha = try applyCoefficients(golden.coefficients, to: swapped)
        XCTAssertGreaterThan(largestDistance(alpha, golden.alpha), 1000 * tolerance)

        var shifted = golden.coefficients
        shifted.values.insert(shifted.values.removeLast(), at: 0)
        let other = try applyCoefficients(shifted, to: picture)
        XCTAssertGreaterThan(largestDistance(other, golden.alpha), 1000 * tolerance)
    }

    func testOneChangedByteIsRefused() throws {
        for name in ["guidance", "weak_mask", "alpha", "coefficients"] {
            let folder = try temporaryFolder(self)
            for file in try FileManager.default.contentsOfDirectory(
                at: SharedVectors.folder.appendingPathComponent("matte"), includingPropertiesForKeys: nil)
            {
                try FileManager.default.copyItem(at: file, to: folder.appendingPathComponent(file.lastPathComponent))
            }
            _ = try GoldenCase(folder: folder)
            let file = folder.appendingPathComponent("\(name).f32")
            var bytes = try Data(contentsOf: file)
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: file)
            assertThrows("\(name).f32 is not the file that case.json describes") {
                _ = try GoldenCase(folder: folder)
            }
        }
    }

    func testTheWeakMaskIsOne() throws {
        let mask = try SharedVectors.matte().weakMask
        XCTAssertEqual(Set(mask.values), [0, 1])
    }

    func testACaseWithoutALimitIsNoPass() throws {
        let golden = try SharedVectors.matte()
        assertThrows("has no limit for coreml fp16") { _ = try golden.limit(of: Fixtures.artifact()) }
    }
}

func largestDistance(_ one: Planes, _ other: Planes) -> Float {
    zip(one.values, other.values).map { ($0 - $1).magnitude }.max() ?? .infinity
}
