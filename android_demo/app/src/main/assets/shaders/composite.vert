// A triangle that covers the view; `position` is in the upright picture, (0,0) at its top left.
out vec2 position;

void main() {
    vec2 corner = vec2(float((gl_VertexID & 1) << 2), float((gl_VertexID & 2) << 1));
    position = vec2(0.5 * corner.x, 1.0 - 0.5 * corner.y);
    gl_Position = vec4(corner - 1.0, 0.0, 1.0);
}
