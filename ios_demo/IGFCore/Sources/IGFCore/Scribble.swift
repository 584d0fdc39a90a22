/// A weak mask drawn with a finger: discs along a path, 1 inside.
public struct Scribble: Sendable {
    /// Pixels of the mask.
    public let radius: Float
    public private(set) var mask: Planes

    public init(height: Int, width: Int, radius: Float) {
        self.radius = radius
        self.mask = Planes(channels: 1, height: height, width: width)
    }

    /// Whether nothing was drawn.
    public var isEmpty: Bool { mask.values.allSatisfy { $0 == 0 } }

    /// Draw from one point to the next; both in [0,1] of width and height.
    public mutating func line(from start: (x: Float, y: Float), to end: (x: Float, y: Float)) {
        let size = (x: Float(mask.width), y: Float(mask.height))
        let from = (x: start.x * size.x, y: start.y * size.y)
        let to = (x: end.x * size.x, y: end.y * size.y)
        let length = max((to.x - from.x).magnitude, (to.y - from.y).magnitude)
        let steps = max(Int(length.rounded(.up)), 1)
        for step in 0...steps {
            let share = Float(step) / Float(steps)
            disc(x: from.x + share * (to.x - from.x), y: from.y + share * (to.y - from.y))
        }
    }

    private mutating func disc(x: Float, y: Float) {
        let rows = rangeAround(y, below: mask.height)
        let columns = rangeAround(x, below: mask.width)
        for row in rows {
            for column in columns {
                let dx = Float(column) + 0.5 - x
                let dy = Float(row) + 0.5 - y
                if dx * dx + dy * dy <= radius * radius { mask[0, row, column] = 1 }
            }
        }
    }

    private func rangeAround(_ centre: Float, below count: Int) -> Range<Int> {
        let first = Int((centre - radius).rounded(.down).clamped(to: 0...Float(count)))
        let last = Int((centre + radius).rounded(.up).clamped(to: 0...Float(count)))
        return first..<last
    }
}
