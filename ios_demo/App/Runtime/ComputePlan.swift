@preconcurrency import CoreML
import Foundation
import IGFCore

/// Where Core ML plans to run a compiled model: its own compute plan, operator by operator.
///
/// A plan is what Core ML prefers before it runs. The second proof, whether the output has the CPU's bits, is
/// in the report as `identical_to_cpu`.
func plannedResidency(of compiled: URL, _ configuration: MLModelConfiguration) async -> Residency {
    guard #available(iOS 17.4, *) else {
        return Residency(unit: .unknown, evidence: "MLComputePlan needs iOS 17.4.")
    }
    do {
        let plan = try await MLComputePlan.load(contentsOf: compiled, configuration: configuration)
        guard case .program(let program) = plan.modelStructure, let main = program.functions["main"] else {
            return Residency(unit: .unknown, evidence: "MLComputePlan has no program with a function main.")
        }
        return residency(of: main.block.operations, by: plan)
    } catch {
        return Residency(unit: .unknown, evidence: "MLComputePlan failed: \(error)")
    }
}

@available(iOS 17.4, *)
private func residency(of operations: [MLModelStructure.Program.Operation], by plan: MLComputePlan) -> Residency {
    var planned: [ComputeUnit: Int] = [:]
    var undecided = 0
    // Constants are no work, and have no device.
    for operation in operations where !operation.operatorName.hasSuffix("const") {
        switch plan.deviceUsage(for: operation)?.preferred {
        case .cpu: planned[.cpu, default: 0] += 1
        case .gpu: planned[.gpu, default: 0] += 1
        case .neuralEngine: planned[.npu, default: 0] += 1
        default: undecided += 1
        }
    }
    return Residency(plannedOperators: planned, undecided: undecided)
}
