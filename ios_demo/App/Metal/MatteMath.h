// The arithmetic of the matte at camera resolution, written in what Metal and C++ have in common.
//
// Xcode compiles it as Metal, through Matte.metal. `make ios-check` compiles it as C++ and holds it to the golden
// alpha of shared_vectors/matte and to IGFCore's applyCoefficients. It expects float3, `device`, `clamp`, `dot`
// and `mix`; in C++ they come from ios_demo/Tests/MetalShim.h.

#ifndef IGF_MATTE_MATH_H
#define IGF_MATTE_MATH_H

/// Two neighbours of a position along one axis, and how much of the second.
struct AxisTap {
    int first;
    int second;
    float weight;
};

/// Bilinear with half-pixel centres; outside the picture its border repeats.
inline AxisTap axis_tap(int index, int output, int input) {
    float centre = clamp((float(index) + 0.5f) * (float(input) / float(output)) - 0.5f, 0.0f, float(input - 1));
    AxisTap tap;
    tap.first = int(centre);
    tap.second = tap.first + 1 < input ? tap.first + 1 : tap.first;
    tap.weight = centre - float(tap.first);
    return tap;
}

/// One plane of the coefficients at one position of the picture.
inline float upsampled(device const float *plane, int width, AxisTap row, AxisTap column) {
    float above = mix(plane[row.first * width + column.first], plane[row.first * width + column.second], column.weight);
    float below = mix(plane[row.second * width + column.first], plane[row.second * width + column.second], column.weight);
    return mix(above, below, row.weight);
}

/// alpha = clamp(A . I + B), with A and B from four planes: A for red, green, blue, then B.
inline float matte_alpha(
    device const float *coefficients, int coefficient_width, int coefficient_height,
    float3 colour, int x, int y, int width, int height
) {
    AxisTap row = axis_tap(y, height, coefficient_height);
    AxisTap column = axis_tap(x, width, coefficient_width);
    int area = coefficient_width * coefficient_height;
    float3 slope = float3(
        upsampled(coefficients, coefficient_width, row, column),
        upsampled(coefficients + area, coefficient_width, row, column),
        upsampled(coefficients + 2 * area, coefficient_width, row, column));
    float offset = upsampled(coefficients + 3 * area, coefficient_width, row, column);
    return clamp(dot(slope, colour) + offset, 0.0f, 1.0f);
}

/// The picture over a background of one colour.
inline float3 composite_colour(float3 colour, float alpha, float3 background) {
    return background * (1.0f - alpha) + colour * alpha;
}

#endif
