// A stub; see README.md.
@_exported import UIKit

@MainActor @preconcurrency
public protocol View {
    associatedtype Body: View
    @ViewBuilder var body: Body { get }
}
extension Never: View { public var body: Never { return fatalError("stub") } }
public protocol Primitive: View where Body == Never {}
extension Primitive { public var body: Never { return fatalError("stub") } }

@resultBuilder
public enum ViewBuilder {
    public static func buildBlock<each Content: View>(_ content: repeat each Content) -> TupleView<
        (repeat each Content)
    > { TupleView() }
    public static func buildExpression<Content: View>(_ content: Content) -> Content { content }
    public static func buildIf<Content: View>(_ content: Content?) -> Content? { content }
    public static func buildEither<A: View, B: View>(first: A) -> Either<A, B> { Either() }
    public static func buildEither<A: View, B: View>(second: B) -> Either<A, B> { Either() }
}
public struct TupleView<T>: Primitive {}
public struct Either<A: View, B: View>: Primitive {}
extension Optional: View where Wrapped: View { public var body: Never { return fatalError("stub") } }

@MainActor @preconcurrency
public protocol App {
    associatedtype Body: Scene
    @SceneBuilder var body: Body { get }
    init()
}
extension App { public static func main() {} }
public protocol Scene {}
@resultBuilder
public enum SceneBuilder { public static func buildBlock<Content: Scene>(_ content: Content) -> Content { content } }
public struct WindowGroup<Content: View>: Scene { public init(@ViewBuilder content: () -> Content) {} }

public protocol ObservableObject: AnyObject {}
@propertyWrapper
public struct Published<Value> {
    public var wrappedValue: Value
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
}
@propertyWrapper
public struct State<Value> {
    public var wrappedValue: Value {
        get { fatalError("stub") }
        nonmutating set {}
    }
    public var projectedValue: Binding<Value> { fatalError("stub") }
    public init(wrappedValue: Value) {}
}
extension State where Value: ExpressibleByNilLiteral { public init() {} }
@propertyWrapper
public struct Binding<Value> {
    public var wrappedValue: Value {
        get { fatalError("stub") }
        nonmutating set {}
    }
    public var projectedValue: Binding<Value> { self }
    public init(projectedValue: Binding<Value>) {}
}
@MainActor @preconcurrency @propertyWrapper
public struct StateObject<ObjectType: ObservableObject> {
    public var wrappedValue: ObjectType { fatalError("stub") }
    public nonisolated init(wrappedValue: @autoclosure @escaping () -> ObjectType) {}
}

public struct Text: Primitive {
    public init(_ content: String) {}
    public init(_ key: LocalizedStringKey) {}
}
public struct LocalizedStringKey: ExpressibleByStringInterpolation {
    public struct StringInterpolation: StringInterpolationProtocol {
        public init(literalCapacity: Int, interpolationCount: Int) {}
        public mutating func appendLiteral(_ literal: String) {}
        public mutating func appendInterpolation(_ value: String) {}
        public mutating func appendInterpolation(_ value: Double, specifier: String) {}
    }
    public init(stringLiteral value: String) {}
    public init(stringInterpolation: StringInterpolation) {}
}
public struct Label: Primitive { public init(_ title: String, systemImage name: String) {} }
public struct Spacer: Primitive { public init() {} }
public struct ProgressView: Primitive { public init() {} }
public struct Rectangle: Primitive, Shape { public init() {} }
public protocol Shape: View {}
public struct Color: ShapeStyle, Sendable {}
public protocol ShapeStyle {}
public struct HierarchicalShapeStyle: ShapeStyle {}
extension ShapeStyle where Self == Color {
    public static var red: Color { Color() }
    public static var green: Color { Color() }
    public static var orange: Color { Color() }
}
extension ShapeStyle where Self == HierarchicalShapeStyle {
    public static var secondary: HierarchicalShapeStyle { .init() }
}
public struct Font: Sendable {
    public static let footnote = Font()
    public static let caption = Font()
    public func monospaced() -> Font { self }
    public func monospacedDigit() -> Font { self }
}
public enum HorizontalAlignment { case leading }
public enum TextAlignment { case center }
public enum ContentMode { case fit }
public struct ButtonRole { public static let destructive = ButtonRole() }

public struct VStack<Content: View>: Primitive {
    public init(alignment: HorizontalAlignment = .leading, spacing: CGFloat? = nil, @ViewBuilder content: () -> Content)
    {}
}
public struct TabView<Content: View>: Primitive { public init(@ViewBuilder content: () -> Content) {} }
public struct NavigationStack<Root: View>: Primitive { public init(@ViewBuilder root: () -> Root) {} }
public struct List<Content: View>: Primitive { public init(@ViewBuilder content: () -> Content) {} }
public struct Form<Content: View>: Primitive { public init(@ViewBuilder content: () -> Content) {} }
public struct Section<Content: View>: Primitive {
    public init(@ViewBuilder content: () -> Content) {}
    public init(_ title: String, @ViewBuilder content: () -> Content) {}
    public init<Footer: View>(@ViewBuilder content: () -> Content, @ViewBuilder footer: () -> Footer) {}
}
public struct LabeledContent: Primitive { public init(_ title: String, value: String) {} }
public struct ContentUnavailableView: Primitive {
    public init(_ title: String, systemImage name: String, description: Text?) {}
}
public struct ForEach<Data: RandomAccessCollection, ID: Hashable, Content: View>: Primitive {
    public init(_ data: Data, id: KeyPath<Data.Element, ID>, @ViewBuilder content: @escaping (Data.Element) -> Content)
    {}
}
public struct Picker<SelectionValue: Hashable, Content: View>: Primitive {
    public init(_ title: String, selection: Binding<SelectionValue>, @ViewBuilder content: () -> Content) {}
}
public struct Toggle: Primitive { public init(_ title: String, isOn: Binding<Bool>) {} }
public struct Button: Primitive {
    public init(_ title: String, role: ButtonRole? = nil, action: @escaping @MainActor () -> Void) {}
}
public struct ShareLink: Primitive { public init(_ title: String, item: URL) {} }
public struct GeometryProxy { public var size: CGSize { .zero } }
public struct GeometryReader<Content: View>: Primitive {
    public init(@ViewBuilder content: @escaping (GeometryProxy) -> Content) {}
}
public protocol Gesture {}
public struct DragGesture: Gesture {
    public struct Value { public var location: CGPoint }
    public init(minimumDistance: CGFloat = 10) {}
    public func onChanged(_ action: @escaping @MainActor (Value) -> Void) -> DragGesture { self }
    public func onEnded(_ action: @escaping @MainActor (Value) -> Void) -> DragGesture { self }
}
@MainActor @preconcurrency
public protocol UIViewRepresentable: View where Body == Never {
    associatedtype UIViewType: UIView
    typealias Context = UIViewRepresentableContext<Self>
    func makeUIView(context: Context) -> UIViewType
    func updateUIView(_ uiView: UIViewType, context: Context)
}
public struct UIViewRepresentableContext<Representable> {}
extension UIViewRepresentable { public var body: Never { return fatalError("stub") } }

public struct Modified: Primitive {}
extension View {
    public func tabItem<V: View>(@ViewBuilder _ label: () -> V) -> some View { Modified() }
    public func font(_ font: Font?) -> some View { Modified() }
    public func foregroundStyle<S: ShapeStyle>(_ style: S) -> some View { Modified() }
    public func padding() -> some View { Modified() }
    public func task(_ action: @escaping @MainActor @Sendable () async -> Void) -> some View { Modified() }
    public func navigationTitle(_ title: String) -> some View { Modified() }
    public func toolbar<Content: View>(@ViewBuilder content: () -> Content) -> some View { Modified() }
    public func disabled(_ disabled: Bool) -> some View { Modified() }
    public func tag<V: Hashable>(_ tag: V) -> some View { Modified() }
    public func contentShape<S: Shape>(_ shape: S) -> some View { Modified() }
    public func gesture<T: Gesture>(_ gesture: T) -> some View { Modified() }
    public func aspectRatio(_ aspectRatio: CGFloat?, contentMode: ContentMode) -> some View { Modified() }
    public func multilineTextAlignment(_ alignment: TextAlignment) -> some View { Modified() }
    public func onChange<V: Equatable>(of value: V, _ action: @escaping () -> Void) -> some View { Modified() }
    public func onAppear(perform action: (() -> Void)? = nil) -> some View { Modified() }
    public func onDisappear(perform action: (() -> Void)? = nil) -> some View { Modified() }
}
