// Runs the kernel's arithmetic (App/Metal/MatteMath.h) as C++ over a picture.
//
//   kernel COEFFICIENTS h w GUIDANCE H W > ALPHA
//
// Files are raw little-endian float32 planes: 4 of h x w, 3 of H x W; the output is one plane of H x W, then
// three planes of the picture over the background (0.1, 0.42, 0.3).
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "MetalShim.h"
#include "../App/Metal/MatteMath.h"

static std::vector<float> read(const char *name, size_t count) {
    std::vector<float> values(count);
    FILE *file = std::fopen(name, "rb");
    if (!file || std::fread(values.data(), 4, count, file) != count) {
        std::fprintf(stderr, "cannot read %zu floats from %s\n", count, name);
        std::exit(2);
    }
    std::fclose(file);
    return values;
}

int main(int argc, char **argv) {
    if (argc != 7) {
        std::fprintf(stderr, "usage: kernel COEFFICIENTS h w GUIDANCE H W\n");
        return 2;
    }
    int small_height = std::atoi(argv[2]), small_width = std::atoi(argv[3]);
    int height = std::atoi(argv[5]), width = std::atoi(argv[6]);
    int area = height * width;
    std::vector<float> coefficients = read(argv[1], 4 * size_t(small_height) * small_width);
    std::vector<float> guidance = read(argv[4], 3 * size_t(area));
    std::vector<float> output(4 * size_t(area));
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            int at = y * width + x;
            float3 colour(guidance[at], guidance[area + at], guidance[2 * area + at]);
            float alpha = matte_alpha(coefficients.data(), small_width, small_height, colour, x, y, width, height);
            float3 over = composite_colour(colour, alpha, float3(0.1f, 0.42f, 0.3f));
            output[at] = alpha;
            output[area + at] = over.x;
            output[2 * area + at] = over.y;
            output[3 * area + at] = over.z;
        }
    }
    return std::fwrite(output.data(), 4, output.size(), stdout) == output.size() ? 0 : 1;
}
