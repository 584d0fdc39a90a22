// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "IGFCore",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "IGFCore", targets: ["IGFCore"])],
    targets: [
        .target(name: "IGFCore"),
        .testTarget(name: "IGFCoreTests", dependencies: ["IGFCore"]),
    ]
)
