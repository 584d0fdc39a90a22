import IGFCore
import SwiftUI

/// Every artifact on every compute unit against the golden matte.
struct VerifyView: View {
    let build: ExportedBuild
    @State private var results: [Verification] = []
    @State private var isRunning = false
    @State private var problem: String?

    var body: some View {
        NavigationStack {
            List {
                Section {
                    LabeledContent("Build", value: "\(build.manifest.name) \(build.manifest.version)")
                    LabeledContent("Golden case", value: build.golden.name)
                    if let problem { Text(problem).foregroundStyle(.red) }
                }
                Section("Results") {
                    ForEach(results.indices, id: \.self) { VerificationRow(result: results[$0]) }
                    if isRunning { ProgressView() }
                }
            }
            .navigationTitle("Verify")
            .toolbar { Button("Verify all") { Task { await verify() } }.disabled(isRunning) }
        }
    }

    private func verify() async {
        (results, problem, isRunning) = ([], nil, true)
        defer { isRunning = false }
        do {
            for subject in try Runtimes.subjects(build, renderer: nil) {
                results.append(await Verification(of: subject, golden: build.golden))
            }
        } catch {
            problem = "\(error)"
        }
    }
}

/// One result: what ran where, how far it is from the golden alpha, and how that is known.
private struct VerificationRow: View {
    let result: Verification

    var body: some View {
        VStack(alignment: .leading, spacing: 4) {
            Label(
                "\(result.artifact.backend) \(result.artifact.scheme) on \(result.computeUnit.rawValue)",
                systemImage: result.passed ? "checkmark.circle.fill" : "xmark.octagon.fill"
            )
            .foregroundStyle(result.passed ? .green : .red)
            Text(result.sentence).font(.footnote)
            if let residency = result.residency {
                Text("\(residency.unit.rawValue): \(residency.evidence)").font(.caption).foregroundStyle(.secondary)
            }
        }
    }
}
