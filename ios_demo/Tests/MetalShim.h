// What MatteMath.h needs of Metal, in C++: the address space, two vector types and four functions.
// A float is IEEE single precision here as it is on Apple's GPUs, and MTL_FAST_MATH is off in the project.
#pragma once

#define device

struct float3 {
    float x, y, z;
    float3(float x, float y, float z) : x(x), y(y), z(z) {}
};

inline float3 operator*(float3 vector, float factor) {
    return float3(vector.x * factor, vector.y * factor, vector.z * factor);
}

inline float3 operator+(float3 one, float3 other) {
    return float3(one.x + other.x, one.y + other.y, one.z + other.z);
}

inline float dot(float3 one, float3 other) { return one.x * other.x + one.y * other.y + one.z * other.z; }
inline float mix(float one, float other, float share) { return one + (other - one) * share; }
inline float clamp(float value, float low, float high) { return value < low ? low : value > high ? high : value; }
