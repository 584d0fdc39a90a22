"""The stubs that `make ios-check` type-checks the app against: each is imported, and nothing in them is unused."""

import re
from pathlib import Path

import pytest

IOS_DEMO = Path(__file__).parent.parent.parent / "ios_demo"
STUBS = sorted((IOS_DEMO / "Tests" / "Stubs").glob("*.swift"))
APP = "\n".join(
    path.read_text()
    for folder in ("App", "AppTests")
    for path in sorted((IOS_DEMO / folder).rglob("*.swift"))
)
CODE = re.sub(r"//.*", "", APP)
_DECLARATION = re.compile(
    r"public (?:[a-z]+ )*?(?:class |struct |enum |protocol |func |let |var |typealias )`?(\w+)", re.ASCII
)
_PLUMBING = {
    # SwiftUI's own machinery: result builders, property wrappers, and the type each primitive has.
    *(
        "buildBlock",
        "buildExpression",
        "buildIf",
        "buildEither",
        "TupleView",
        "Either",
        "Primitive",
        "Modified",
    ),
    *("wrappedValue", "projectedValue", "rawValue", "init", "ViewBuilder", "SceneBuilder", "Scene", "Shape"),
    *("ShapeStyle", "HierarchicalShapeStyle", "LocalizedStringKey", "StringInterpolation", "appendLiteral"),
    *(
        "appendInterpolation",
        "Font",
        "HorizontalAlignment",
        "TextAlignment",
        "ContentMode",
        "ButtonRole",
        "Gesture",
    ),
    *("GeometryProxy", "Value", "UIViewRepresentableContext", "Color", "main"),
    # Types of values the app uses without naming them.
    *(
        "CFAllocator",
        "CFString",
        "CVBuffer",
        "CVReturn",
        "CVImageBuffer",
        "CVPixelBufferLockFlags",
        "CALayer",
    ),
    *("CALayerContentsGravity", "MTLLibrary", "MTLFunction", "MTLBlitCommandEncoder", "MTLTextureUsage"),
    *("MTLStorageMode", "MTLResourceOptions", "MLMultiArrayDataType", "MLFeatureValue", "MLComputeDevice"),
    *("MLCPUComputeDevice", "MLGPUComputeDevice", "MLNeuralEngineComputeDevice", "DeviceUsage", "Block"),
    *(
        "Function",
        "NeuralNetwork",
        "AVMediaType",
        "AVCaptureInput",
        "DeviceType",
        "Position",
        "Preset",
        "VNRequest",
    ),
    *("VNObservation", "VNPixelBufferObservation", "QualityLevel", "BatteryState", "Lifetime", "Scalar"),
    *("ValueConvertible", "MethodMetadata"),
}


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_it_is_imported_and_named_a_stub(stub: Path) -> None:
    # UIKit and SwiftUI bring Metal and Core Video along, so their own import may be missing in a file but not in all.
    assert re.search(rf"^ *(@preconcurrency )?import {stub.stem}$", APP, re.MULTILINE)
    assert stub.read_text().startswith("// A stub; see README.md.")


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_nothing_in_it_is_unused(stub: Path) -> None:
    names = set(_DECLARATION.findall(stub.read_text())) - _PLUMBING
    unused = {name for name in names if not re.search(rf"\b{name}\b", CODE)}
    assert not unused


def test_every_module_the_app_imports_has_a_stub_or_is_ours() -> None:
    imported = set(re.findall(r"^ *(?:@\w+ )?import (\w+)$", APP, re.MULTILINE))
    assert imported <= {path.stem for path in STUBS} | {"Foundation", "IGFCore", "IGF"}
