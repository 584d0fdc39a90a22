import CoreVideo
import IGFCore
import XCTest

@testable import IGF

/// `xcodebuild test` on a device: verify, measure, and leave latency_report.json in the app's Documents.
///
/// The app hosts these tests, so they see its build and its folder. Environment, each with the prefix
/// TEST_RUNNER_ for xcodebuild: IGF_QUICK=1 for seconds instead of minutes, IGF_SUSTAINED=600 for a sustained run.
@MainActor
final class UnattendedTests: XCTestCase {
    func testVerifyAndMeasure() async throws {
        let environment = ProcessInfo.processInfo.environment
        var plan = environment["IGF_QUICK"] == "1" ? MeasurementPlan.quick : .full
        plan.sustainedSeconds = environment["IGF_SUSTAINED"].flatMap(Double.init) ?? 0
        let build = try ExportedBuild.bundled()
        let run = UnattendedRun(build: build, plan: plan, device: DeviceMonitor())
        let (report, failures) = try await run { print($0) }
        let file = URL.documentsDirectory.appendingPathComponent(LatencyReport.fileName)
        let attachment = XCTAttachment(contentsOfFile: file)
        attachment.name = LatencyReport.fileName
        attachment.lifetime = .keepAlways
        add(attachment)
        XCTAssertEqual(failures, [])
        XCTAssertEqual(report.runs.count, try Runtimes.subjects(build, renderer: nil).count)
    }

    /// The GPU's alpha is the CPU reference's, at the picture's and at the camera's resolution.
    func testTheKernelIsTheReference() async throws {
        let golden = try ExportedBuild.bundled().golden
        let renderer = try MatteRenderer()
        for (height, width) in [(golden.guidance.height, golden.guidance.width), (1920, 1080)] {
            let buffer = try makePixelBuffer(width: width, height: height, format: kCVPixelFormatType_32BGRA)
            CVPixelBufferLockBaseAddress(buffer, [])
            let bytesPerRow = CVPixelBufferGetBytesPerRow(buffer)
            let bytes = UnsafeMutableRawBufferPointer(
                start: CVPixelBufferGetBaseAddress(buffer), count: bytesPerRow * height)
            try golden.guidance.resized(height: height, width: width).writeBGRA(into: bytes, bytesPerRow: bytesPerRow)
            CVPixelBufferUnlockBaseAddress(buffer, [])
            try await renderer.apply(golden.coefficients, to: buffer)
            let guidance = try withRows(of: buffer) { try $0.planes(ChannelOrder.guidance) }
            let expected = try applyCoefficients(golden.coefficients, to: guidance)
            let alpha = try await renderer.readAlpha()
            let distance = zip(alpha.values, expected.values).map { ($0 - $1).magnitude }.max() ?? .infinity
            // The alpha texture is float16: half a unit in the last place below 1 is 2.5e-4.
            XCTAssertLessThan(distance, 1e-3, "\(width) x \(height)")
            XCTAssertFalse(alpha.isConstant)
        }
    }
}
