// A stub; see README.md.
@_exported import Foundation
@_exported import QuartzCore

extension ProcessInfo {
    public enum ThermalState: Int { case nominal, fair, serious, critical }
    public var thermalState: ThermalState { .nominal }
    public var isLowPowerModeEnabled: Bool { false }
}
extension URL { public static var documentsDirectory: URL { URL(fileURLWithPath: "") } }
public func sysctlbyname(
    _ name: UnsafePointer<CChar>!, _ oldp: UnsafeMutableRawPointer!, _ oldlenp: UnsafeMutablePointer<Int>!,
    _ newp: UnsafeMutableRawPointer!, _ newlen: Int
) -> Int32 { -1 }

@MainActor
public final class UIDevice: NSObject {
    public enum BatteryState: Int { case unknown, unplugged, charging, full }
    public nonisolated static let batteryStateDidChangeNotification = NSNotification.Name("state")
    public nonisolated static let batteryLevelDidChangeNotification = NSNotification.Name("level")
    public class var current: UIDevice { fatalError("stub") }
    public var isBatteryMonitoringEnabled = false
    public var batteryState: BatteryState { .unknown }
    public var batteryLevel: Float { -1 }
    public var model: String { "" }
    public var systemName: String { "" }
    public var systemVersion: String { "" }
}
@MainActor
public final class UIApplication: NSObject {
    public class var shared: UIApplication { fatalError("stub") }
    public var isIdleTimerDisabled = false
}
public class NSCoder {}
@MainActor
open class UIView: NSObject {
    open class var layerClass: AnyClass { CALayer.self }
    public init(frame: CGRect) {}
    public required init?(coder: NSCoder) { nil }
    public var layer: CALayer { fatalError("stub") }
    public var isUserInteractionEnabled = true
}
