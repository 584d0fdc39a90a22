#include <metal_stdlib>
using namespace metal;

#include "MatteMath.h"

/// Width and height of the coefficients.
struct CoefficientSize {
    int width;
    int height;
};

/// Coefficients to alpha, one thread per pixel of the camera picture.
kernel void apply_coefficients(
    texture2d<float, access::read> picture [[texture(0)]],
    texture2d<float, access::write> alpha [[texture(1)]],
    device const float *coefficients [[buffer(0)]],
    constant CoefficientSize &size [[buffer(1)]],
    uint2 position [[thread_position_in_grid]]
) {
    int width = int(picture.get_width());
    int height = int(picture.get_height());
    if (int(position.x) >= width || int(position.y) >= height) { return; }
    float3 colour = picture.read(position).rgb;
    float value = matte_alpha(
        coefficients, size.width, size.height, colour, int(position.x), int(position.y), width, height);
    alpha.write(float4(value), position);
}

/// The picture over a background of one colour.
kernel void composite(
    texture2d<float, access::read> picture [[texture(0)]],
    texture2d<float, access::read> alpha [[texture(1)]],
    texture2d<float, access::write> output [[texture(2)]],
    constant float4 &background [[buffer(0)]],
    uint2 position [[thread_position_in_grid]]
) {
    if (position.x >= output.get_width() || position.y >= output.get_height()) { return; }
    float3 colour = composite_colour(picture.read(position).rgb, alpha.read(position).r, background.rgb);
    output.write(float4(colour, 1.0f), position);
}
