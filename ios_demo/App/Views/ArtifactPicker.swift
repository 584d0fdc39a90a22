import IGFCore
import SwiftUI

/// An artifact of the build on one of the compute units it can be asked for.
struct Choice: Hashable {
    let artifact: ArtifactRecord
    let unit: ComputeUnit

    var name: String { "\(artifact.backend) \(artifact.scheme) · \(unit.rawValue)" }

    static func all(of build: ExportedBuild) -> [Choice] {
        build.artifacts.flatMap { artifact in
            (Runtimes.units(of: artifact.backend) ?? []).map { Choice(artifact: artifact, unit: $0) }
        }
    }

    static func == (one: Choice, other: Choice) -> Bool {
        one.artifact.file == other.artifact.file && one.unit == other.unit
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(artifact.file)
        hasher.combine(unit)
    }
}

/// Choose one.
struct ArtifactPicker: View {
    let choices: [Choice]
    @Binding var choice: Choice?

    var body: some View {
        Picker("Artifact", selection: $choice) {
            ForEach(choices, id: \.self) { Text($0.name).tag(Optional($0)) }
        }
    }
}
