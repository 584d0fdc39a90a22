// Runs inside the emulated arm64 machine: what litert_guest.py does, for a .pte.
//
// Usage: executorch_guest ARTIFACT FOLDER COUNT. Reads float32 `guidance-<i>.npy` and `weak_mask-<i>.npy` of FOLDER;
// writes `alpha-<i>.npy`, where the program has it, `coefficients-<i>.npy` and at the end `guest.json`.

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>
#include <sys/auxv.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using executorch::aten::SizesType;
using executorch::aten::Tensor;
using executorch::extension::Module;
using executorch::runtime::EValue;

namespace {

[[noreturn]] void fail(const std::string& text) {
    std::fprintf(stderr, "%s\n", text.c_str());
    std::exit(1);
}

// Values and shape of a float32 .npy of version 1, C order.
struct Array {
    std::vector<SizesType> shape;
    std::vector<float> values;
};

Array read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.size() < 10 || bytes[6] != 1) fail(path + " is not a .npy of version 1");
    const size_t start = 10 + (static_cast<uint8_t>(bytes[8]) | static_cast<uint8_t>(bytes[9]) << 8);
    const std::string header = bytes.substr(10, start - 10);
    if (header.find("'<f4'") == std::string::npos || header.find("'fortran_order': False") == std::string::npos)
        fail(path + " is not float32 in C order");
    Array array;
    size_t count = 1;
    const char* at = header.c_str() + header.find('(') + 1;
    for (char* end = nullptr; *at != ')'; at = end) {
        array.shape.push_back(static_cast<SizesType>(std::strtol(at, &end, 10)));
        count *= array.shape.back();
        while (*end == ',' || *end == ' ') ++end;
    }
    if (bytes.size() != start + count * sizeof(float)) fail(path + " is not whole");
    const float* first = reinterpret_cast<const float*>(bytes.data() + start);
    array.values.assign(first, first + count);
    return array;
}

void write(const std::string& path, const Tensor& tensor) {
    std::string shape;
    for (const auto side : tensor.sizes()) shape += std::to_string(side) + ", ";
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
    header.resize((10 + header.size() + 64) / 64 * 64 - 11, ' ');
    header += '\n';
    std::ofstream file(path, std::ios::binary);
    file.write("\x93NUMPY\x01\x00", 8);
    const char length[] = {static_cast<char>(header.size() & 255), static_cast<char>(header.size() >> 8)};
    file.write(length, 2) << header;
    file.write(reinterpret_cast<const char*>(tensor.const_data_ptr<float>()), tensor.nbytes());
    if (!file.flush()) fail("cannot write " + path);
}

// Bits of Linux' asm/hwcap.h, as in litert_guest.py.
std::string features() {
    struct Feature {
        const char* name;
        unsigned long word;
        int bit;
    };
    const Feature all[] = {{"fp16", AT_HWCAP, 10},  {"dotprod", AT_HWCAP, 20}, {"sve", AT_HWCAP, 22},
                           {"i8mm", AT_HWCAP2, 13}, {"bf16", AT_HWCAP2, 14},   {"sme", AT_HWCAP2, 23}};
    std::string names;
    for (const auto& [name, word, bit] : all)
        if (getauxval(word) >> bit & 1) names += std::string(names.empty() ? "\"" : ", \"") + name + '"';
    return names;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) fail("usage: executorch_guest ARTIFACT FOLDER COUNT");
    const std::string folder = std::string(argv[2]) + "/";
    Module module(argv[1]);
    for (int index = 0; index < std::atoi(argv[3]); ++index) {
        const std::string suffix = "-" + std::to_string(index) + ".npy";
        Array guidance = read(folder + "guidance" + suffix), mask = read(folder + "weak_mask" + suffix);
        const auto first = executorch::extension::from_blob(guidance.values.data(), guidance.shape);
        const auto second = executorch::extension::from_blob(mask.values.data(), mask.shape);
        const auto outputs = module.forward(std::vector<EValue>{first, second});
        if (!outputs.ok()) fail("forward failed with error " + std::to_string(static_cast<int>(outputs.error())));
        // Outputs have no names in a program; the coefficients are the last one, and may be the only one.
        const size_t count = outputs->size();
        if (count != 1 && count != 2) fail("the artifact has " + std::to_string(count) + " outputs, not 1 or 2");
        if (count == 2) write(folder + "alpha" + suffix, outputs->at(0).toTensor());
        write(folder + "coefficients" + suffix, outputs->at(count - 1).toTensor());
    }
    const auto meta = module.method_meta("forward");
    if (!meta.ok()) fail("the artifact has no method forward");
    std::ofstream(folder + "guest.json") << "{\"runtime\": \"ExecuTorch " EXECUTORCH_VERSION "\", \"delegates\": "
                                         << meta->uses_backend("XnnpackBackend") << ", \"features\": [" << features()
                                         << "]}";
}
