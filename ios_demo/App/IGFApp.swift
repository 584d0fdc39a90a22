import SwiftUI

@main
struct IGFApp: App {
    var body: some Scene {
        WindowGroup {
            if UnattendedOptions.current != nil {
                UnattendedView()
            } else {
                RootView()
            }
        }
    }
}

/// The three things the app does.
struct RootView: View {
    var body: some View {
        switch Result(catching: { try ExportedBuild.bundled() }) {
        case .success(let build):
            TabView {
                VerifyView(build: build).tabItem { Label("Verify", systemImage: "checkmark.seal") }
                MeasureView(build: build).tabItem { Label("Measure", systemImage: "stopwatch") }
                LiveView(build: build).tabItem { Label("Live", systemImage: "camera") }
            }
        case .failure(let error):
            ContentUnavailableView("No build", systemImage: "shippingbox", description: Text("\(error)"))
        }
    }
}
