import XCTest

@testable import IGFCore

final class PictureTests: XCTestCase {
    // MARK: Resize

    func testBlockMeansWhereItShrinks() {
        let picture = Planes(channels: 1, height: 2, width: 4, values: [0, 1, 2, 3, 4, 5, 6, 7])
        XCTAssertEqual(picture.resized(height: 1, width: 2).values, [2.5, 4.5])
    }

    func testSharesOfPixelsWhereTheFactorIsNoWholeNumber() {
        let picture = Planes(channels: 1, height: 1, width: 3, values: [0, 3, 6])
        // Each output covers one and a half pixels: (0 + 0.5 * 3) / 1.5 and (0.5 * 3 + 6) / 1.5.
        let values = picture.resized(height: 1, width: 2).values
        XCTAssertEqual(values[0], 1, accuracy: 1e-6)
        XCTAssertEqual(values[1], 5, accuracy: 1e-6)
    }

    func testHalfPixelCentresWhereItGrows() {
        let picture = Planes(channels: 1, height: 1, width: 2, values: [0, 1])
        XCTAssertEqual(picture.resized(height: 1, width: 4).values, [0, 0.25, 0.75, 1])
    }

    func testEachAxisByItsOwnRuleAndEachChannelApart() {
        let picture = Planes(channels: 2, height: 2, width: 2, values: [0, 1, 2, 3, 10, 11, 12, 13])
        XCTAssertEqual(picture.resized(height: 1, width: 4).values, [1, 1.25, 1.75, 2, 11, 11.25, 11.75, 12])
    }

    func testAConstantStaysAndTheSameSizeIsThePicture() {
        let one = Planes(channels: 3, height: 17, width: 13, repeating: 1)
        XCTAssertLessThan(
            largestDistance(one.resized(height: 5, width: 40), Planes(channels: 3, height: 5, width: 40, repeating: 1)),
            1e-6)
        let ramp = Fixtures.ramp(1, 4, 4)
        XCTAssertEqual(ramp.resized(height: 4, width: 4), ramp)
    }

    // MARK: Coefficients

    func testAlphaIsTheAffineOfThePicture() throws {
        // A = (1, 2, -1) and B = 0.25 everywhere, so alpha = R + 2G - B + 0.25, clamped.
        let coefficients = Planes(
            channels: 4, height: 1, width: 2, values: [1, 1, 2, 2, -1, -1, 0.25, 0.25])
        let picture = Planes(channels: 3, height: 1, width: 2, values: [0.1, 0.9, 0.2, 0.9, 0.3, 0])
        let alpha = try applyCoefficients(coefficients, to: picture)
        XCTAssertEqual(alpha.values[0], 0.45, accuracy: 1e-6)
        XCTAssertEqual(alpha.values[1], 1)
    }

    func testNaNIsNotClampedAway() throws {
        let coefficients = Planes(channels: 4, height: 1, width: 1, values: [.nan, 0, 0, 0])
        let alpha = try applyCoefficients(
            coefficients, to: Planes(channels: 3, height: 1, width: 1, values: [1, 1, 1]))
        XCTAssertTrue(alpha.values[0].isNaN)
    }

    func testOtherPlanesAreRefused() {
        assertThrows("not 3 and 3") {
            _ = try applyCoefficients(Fixtures.ramp(3, 1, 1), to: Fixtures.ramp(3, 1, 1))
        }
    }

    // MARK: Scribble

    func testAScribbleIsDiscsAlongALine() {
        var scribble = Scribble(height: 20, width: 40, radius: 3)
        XCTAssertTrue(scribble.isEmpty)
        scribble.line(from: (0.25, 0.5), to: (0.75, 0.5))
        XCTAssertEqual(scribble.mask[0, 10, 20], 1)
        XCTAssertEqual(scribble.mask[0, 10, 8], 1)
        XCTAssertEqual(scribble.mask[0, 10, 5], 0)
        XCTAssertEqual(scribble.mask[0, 14, 20], 0)
        let drawn = scribble.mask.values.reduce(0, +)
        XCTAssertEqual(drawn, 20 * 6 + Float.pi * 9, accuracy: 12)
    }

    func testAScribbleMayLeaveThePicture() {
        var scribble = Scribble(height: 4, width: 4, radius: 2)
        scribble.line(from: (-1, -1), to: (2, 2))
        XCTAssertFalse(scribble.isEmpty)
    }
}

final class WeakMaskTests: XCTestCase {
    private let person = Planes(channels: 1, height: 1, width: 2, values: [1, 0])
    private let alpha = Planes(channels: 1, height: 1, width: 2, values: [0.2, 0.7])
    private let drawn = Planes(channels: 1, height: 1, width: 2, values: [1, 1])

    func testTheMaskOfEachFrame() {
        var source = WeakMaskSource(refreshEvery: 4)
        XCTAssertEqual(source.next(scribble: nil) { person }, person, "the first frame is segmented")
        source.note(alpha: alpha)
        XCTAssertEqual(source.next(scribble: nil) { person }?.values, [0, 1], "then the alpha before, as 0 and 1")
        XCTAssertEqual(source.next(scribble: drawn) { person }, drawn, "a finger wins")
        source.note(alpha: alpha)
        XCTAssertEqual(source.next(scribble: nil) { person }, person, "the fourth frame is segmented again")
        XCTAssertEqual(source.next(scribble: nil) { nil }?.values, [0, 1])
    }

    func testAMatteThatWasLostIsLookedForAgain() {
        var source = WeakMaskSource(refreshEvery: 100)
        XCTAssertNil(source.next(scribble: nil) { nil })
        source.note(alpha: Planes(channels: 1, height: 1, width: 2))
        XCTAssertEqual(source.next(scribble: nil) { person }, person)
    }
}
