import Foundation
import IGFCore
import UIKit

extension LatencyReport.Device {
    /// The device the app runs on.
    @MainActor
    static var current: LatencyReport.Device {
        LatencyReport.Device(
            model: systemString("hw.machine") ?? UIDevice.current.model, os: UIDevice.current.systemName,
            osVersion: UIDevice.current.systemVersion, osBuild: systemString("kern.osversion"),
            cores: ProcessInfo.processInfo.processorCount,
            memoryBytes: Int(ProcessInfo.processInfo.physicalMemory))
    }
}

extension LatencyReport.App {
    /// This app, as its Info.plist has it.
    static var current: LatencyReport.App {
        let information = Bundle.main.infoDictionary ?? [:]
        return LatencyReport.App(
            name: information["CFBundleName"] as? String ?? "IGF",
            version: information["CFBundleShortVersionString"] as? String ?? "unknown")
    }
}

extension LatencyReport {
    /// A report of this device and build without runs yet.
    @MainActor
    static func empty(for build: ExportedBuild) -> LatencyReport {
        LatencyReport(
            kind: .device, createdAt: Date(), app: .current,
            build: .init(manifest: build.manifest, json: build.manifestJSON), device: .current, runs: [])
    }
}

/// A string the kernel knows, such as hw.machine (iPhone17,1).
private func systemString(_ name: String) -> String? {
    var size = 0
    guard sysctlbyname(name, nil, &size, nil, 0) == 0, size > 1 else { return nil }
    var bytes = [CChar](repeating: 0, count: size)
    guard sysctlbyname(name, &bytes, &size, nil, 0) == 0 else { return nil }
    return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
