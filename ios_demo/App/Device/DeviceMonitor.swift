import Foundation
import IGFCore
import UIKit

/// Thermal state, power and battery, readable from any thread.
final class DeviceMonitor: DeviceConditions, @unchecked Sendable {
    private let lock = NSLock()
    private var battery: (power: PowerSource, level: Double?) = (.unknown, nil)
    private var observers: [NSObjectProtocol] = []

    /// UIKit gives the battery on the main thread only, so it is noted at each of its changes.
    @MainActor
    init() {
        UIDevice.current.isBatteryMonitoringEnabled = true
        for name in [UIDevice.batteryStateDidChangeNotification, UIDevice.batteryLevelDidChangeNotification] {
            let observer = NotificationCenter.default.addObserver(forName: name, object: nil, queue: .main) {
                [weak self] _ in
                MainActor.assumeIsolated { self?.noteBattery() }
            }
            observers.append(observer)
        }
        noteBattery()
    }

    deinit {
        observers.forEach(NotificationCenter.default.removeObserver)
    }

    func thermalState() -> ThermalState { ThermalState(ProcessInfo.processInfo.thermalState) }
    func lowPowerMode() -> Bool? { ProcessInfo.processInfo.isLowPowerModeEnabled }
    func power() -> PowerSource { lock.withLock { battery.power } }
    func batteryLevel() -> Double? { lock.withLock { battery.level } }

    @MainActor
    private func noteBattery() {
        let device = UIDevice.current
        let power: PowerSource
        switch device.batteryState {
        case .unplugged: power = .battery
        case .charging, .full: power = .charging
        default: power = .unknown
        }
        // -1 where it is not known.
        let level = device.batteryLevel < 0 ? nil : Double(device.batteryLevel)
        lock.withLock { battery = (power, level) }
    }
}

extension ThermalState {
    /// Apple's words to those of the report's contract.
    init(_ state: ProcessInfo.ThermalState) {
        switch state {
        case .nominal: self = .nominal
        case .fair: self = .light
        case .serious: self = .severe
        case .critical: self = .critical
        @unknown default: self = .unknown
        }
    }
}
