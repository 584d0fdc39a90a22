import Foundation

/// SHA-256 (FIPS 180-4), written out because CryptoKit is Apple's alone and these checks run anywhere.
public enum SHA256 {
    /// In lowercase hexadecimal.
    public static func hex(of data: Data) -> String {
        var state: [UInt32] = [
            0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
        ]
        let whole = data.count / 64 * 64
        data.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: whole, by: 64) { absorb(bytes, start, into: &state) }
        }
        var rest = Data(data.suffix(data.count - whole))
        rest.append(0x80)
        rest.append(Data(count: (120 - rest.count % 64) % 64))
        withUnsafeBytes(of: (UInt64(data.count) * 8).bigEndian) { rest.append(contentsOf: $0) }
        rest.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: bytes.count, by: 64) { absorb(bytes, start, into: &state) }
        }
        return state.map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }

    /// One block of 64 bytes.
    private static func absorb(_ bytes: UnsafeRawBufferPointer, _ start: Int, into state: inout [UInt32]) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { words in
            for index in 0..<16 {
                words[index] = UInt32(
                    bigEndian: bytes.loadUnaligned(fromByteOffset: start + 4 * index, as: UInt32.self))
            }
            for index in 16..<64 {
                let a = words[index - 15]
                let b = words[index - 2]
                let mixed = (turned(a, 7) ^ turned(a, 18) ^ a >> 3) &+ (turned(b, 17) ^ turned(b, 19) ^ b >> 10)
                words[index] = words[index - 16] &+ words[index - 7] &+ mixed
            }
            var (a, b, c, d) = (state[0], state[1], state[2], state[3])
            var (e, f, g, h) = (state[4], state[5], state[6], state[7])
            for index in 0..<64 {
                let choice = (e & f) ^ (~e & g)
                let first =
                    h &+ (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) &+ choice &+ constants[index] &+ words[index]
                let majority = (a & b) ^ (a & c) ^ (b & c)
                let second = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) &+ majority
                (h, g, f, e) = (g, f, e, d &+ first)
                (d, c, b, a) = (c, b, a, first &+ second)
            }
            for (index, word) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= word }
        }
    }

    @inline(__always)
    private static func turned(_ word: UInt32, _ bits: UInt32) -> UInt32 {
        word >> bits | word << (32 - bits)
    }

    /// First 32 bits of the fractional parts of the cube roots of the first 64 primes.
    private static let constants: [UInt32] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ]
}

extension ArtifactRecord {
    /// The sha256 of what is on the disk: of a file its bytes, of a folder (.mlpackage) its files.
    ///
    /// A folder's is that of the lines `relative/name NUL sha256 LF` of its files, sorted by name, as
    /// `igf_mobile.files.sha256_of` has it. Throws `IGFError` when it cannot be read.
    public static func sha256(of url: URL) throws -> String {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw IGFError("\(url.lastPathComponent) is not in the app; run the build step again after `make export`")
        }
        if !isFolder.boolValue { return SHA256.hex(of: try read(url)) }
        let names = try FileManager.default.subpathsOfDirectory(atPath: url.path).filter { name in
            var isFolder: ObjCBool = false
            let exists = FileManager.default.fileExists(atPath: url.path + "/" + name, isDirectory: &isFolder)
            return exists && !isFolder.boolValue
        }
        let lines = try names.sorted { $0.split(separator: "/").lexicographicallyPrecedes($1.split(separator: "/")) }
            .map { name in "\(name)\0\(SHA256.hex(of: try read(url.appendingPathComponent(name))))\n" }
        return SHA256.hex(of: Data(lines.joined().utf8))
    }

    /// Throws `IGFError` unless the file at `url` is the one the manifest describes.
    public func verify(at url: URL) throws {
        let found = try Self.sha256(of: url)
        guard found == sha256 else {
            throw IGFError("\(file) has the sha256 \(found.prefix(12))..., the manifest says \(sha256.prefix(12))...")
        }
    }
}
