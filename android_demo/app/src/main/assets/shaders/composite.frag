// A camera frame over a background, at the camera's resolution. matte.glsl comes before this.
uniform highp sampler2D luma;
uniform highp sampler2D chromaU;
uniform highp sampler2D chromaV;
uniform highp sampler2D coefficients;
uniform highp sampler2D background;
// From the upright picture to the frame as the sensor gives it.
uniform mat3 turn;
// 0 shows the frame alone: nothing has been drawn yet.
uniform float matted;
in vec2 position;
out vec4 colour;

void main() {
    vec2 inFrame = (turn * vec3(position, 1.0)).xy;
    vec3 rgb = rgbFromYuv(texture(luma, inFrame).r, texture(chromaU, inFrame).r, texture(chromaV, inFrame).r);
    float alpha = mix(1.0, alphaAt(coefficients, position, rgb), matted);
    colour = vec4(mix(texture(background, position).rgb, rgb, alpha), 1.0);
}
