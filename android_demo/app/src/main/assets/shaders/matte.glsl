// The end of the network on the GPU: alpha = clamp(A * I + B) at the picture's resolution.
// Tested against shared_vectors/ by tests/android/test_android_shader.py.

// A for red, green and blue, then B, at `position` in [0,1]: bilinear, half-pixel centres.
// Four fetches, because float32 textures need not be filterable in OpenGL ES 3.0 and float16 ones are too coarse.
vec4 coefficientsAt(highp sampler2D coefficients, vec2 position) {
    ivec2 last = textureSize(coefficients, 0) - 1;
    vec2 at = clamp(position * vec2(last + 1) - 0.5, vec2(0.0), vec2(last));
    ivec2 low = ivec2(at);
    ivec2 high = min(low + 1, last);
    vec2 fraction = at - vec2(low);
    vec4 top = mix(texelFetch(coefficients, low, 0), texelFetch(coefficients, ivec2(high.x, low.y), 0), fraction.x);
    vec4 bottom = mix(texelFetch(coefficients, ivec2(low.x, high.y), 0), texelFetch(coefficients, high, 0), fraction.x);
    return mix(top, bottom, fraction.y);
}

float alphaAt(highp sampler2D coefficients, vec2 position, vec3 rgb) {
    vec4 linear = coefficientsAt(coefficients, position);
    return clamp(dot(linear.rgb, rgb) + linear.a, 0.0, 1.0);
}

// BT.601 full range (JFIF), each of y, u, v in [0,1].
vec3 rgbFromYuv(float y, float u, float v) {
    u -= 128.0 / 255.0;
    v -= 128.0 / 255.0;
    return clamp(vec3(y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u), 0.0, 1.0);
}
