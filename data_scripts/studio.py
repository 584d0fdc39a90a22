"""A Blender scene with a transparent film: strands and meshes in, lights and camera by a seed, an RGBA PNG out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from strands import Array, Rng, Strands, unit

SIDE_PX = 512
COLOUR_SAMPLES, ALPHA_SAMPLES = 4, 24
"""Colour is denoised, alpha never; a sample of alpha costs a fifth of one of colour: nothing is lit.

Four denoised samples are nearer to 64 than eight plain ones are, and cheaper (fur 31.0 dB in 5.7 s against 27.8 in 8.5,
foliage 25.1 in 3.6 against 23.4 in 6.2, glass 28.9 in 2.6 against 21.5 in 4.2; one busy core). Two smear fur.
"""
FILL = (0.84, 1.04)
"""The object's extent as a share of the picture's side: above 1, it is cut off by the frame."""


@dataclass(frozen=True)
class Mesh:
    """vertices (n, 3), faces as lists of indices, colour (n, 3) linear RGB at each vertex."""

    vertices: Array
    faces: list[tuple[int, ...]]
    colour: Array


def empty_scene() -> Any:
    """A new scene without objects, set up for one CPU thread."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_x = scene.render.resolution_y = SIDE_PX
    scene.render.film_transparent = True
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.cycles.use_adaptive_sampling = False
    # of colour alone and without prefiltering: 0.4 s, where Blender's default takes 5
    scene.cycles.denoising_input_passes, scene.cycles.denoising_prefilter = "RGB", "NONE"
    scene.cycles.denoising_quality = "FAST"
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces, scene.cycles.glossy_bounces = 6, 1, 2
    scene.cycles.transparent_max_bounces = 12
    scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False
    scene.cycles.sample_clamp_direct, scene.cycles.sample_clamp_indirect = 8.0, 4.0
    scene.cycles_curves.shape = "RIBBONS"
    scene.cycles_curves.subdivisions = 2
    return scene


def material(name: str, **inputs: Any) -> Any:
    """A Principled surface whose colour is the attribute `tint`; `inputs` sets its sockets by name."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    surface = made.node_tree.nodes["Principled BSDF"]
    tint = made.node_tree.nodes.new("ShaderNodeAttribute")
    tint.attribute_name = "tint"
    made.node_tree.links.new(tint.outputs["Color"], surface.inputs["Base Color"])
    for socket, value in inputs.items():
        surface.inputs[socket].default_value = value
    return made


def translucent(name: str, share: float, **inputs: Any) -> Any:
    """As `material`, `share` of it lit from behind: leaves, feathers, thin cloth."""
    made = material(name, **inputs)
    nodes, links = made.node_tree.nodes, made.node_tree.links
    mix, behind = nodes.new("ShaderNodeMixShader"), nodes.new("ShaderNodeBsdfTranslucent")
    mix.inputs[0].default_value = share
    links.new(nodes["Attribute"].outputs["Color"], behind.inputs["Color"])
    links.new(nodes["Principled BSDF"].outputs[0], mix.inputs[1])
    links.new(behind.outputs[0], mix.inputs[2])
    links.new(mix.outputs[0], nodes["Material Output"].inputs["Surface"])
    return made


def veil(name: str, opacity: float) -> Any:
    """Thin cloth: `opacity` of it is a surface seen face on, more at a slant, as light crosses more threads."""
    made = translucent(name, 0.35, Roughness=0.8)
    nodes, links = made.node_tree.nodes, made.node_tree.links
    facing, scale = nodes.new("ShaderNodeLayerWeight"), nodes.new("ShaderNodeMapRange")
    facing.inputs["Blend"].default_value = 0.35
    scale.inputs["To Min"].default_value, scale.inputs["To Max"].default_value = opacity, 1.0
    mix, clear = nodes.new("ShaderNodeMixShader"), nodes.new("ShaderNodeBsdfTransparent")
    links.new(facing.outputs["Facing"], scale.inputs["Value"])
    links.new(scale.outputs["Result"], mix.inputs[0])
    links.new(clear.outputs[0], mix.inputs[1])
    links.new(nodes["Mix Shader"].outputs[0], mix.inputs[2])
    links.new(mix.outputs[0], nodes["Material Output"].inputs["Surface"])
    return made


def add_strands(part: Strands, surface: Any) -> Any:
    """Put strands into the scene as a Blender hair object."""
    count, steps = part.points.shape[:2]
    curves = bpy.data.hair_curves.new("strands")
    curves.add_curves([steps] * count)
    curves.position_data.foreach_set("vector", np.ascontiguousarray(part.points, np.float32).ravel())
    radius = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
    radius.data.foreach_set("value", np.ascontiguousarray(part.radius, np.float32).ravel())
    tint = curves.attributes.new("tint", "FLOAT_COLOR", "CURVE")
    tint.data.foreach_set("color", _rgba(part.colour))
    curves.materials.append(surface)
    return _linked("strands", curves)


def add_mesh(part: Mesh, surface: Any, smooth: bool = True) -> Any:
    """Put a mesh into the scene."""
    mesh = bpy.data.meshes.new("mesh")
    mesh.from_pydata(part.vertices.tolist(), [], part.faces)
    tint = mesh.attributes.new("tint", "FLOAT_COLOR", "POINT")
    tint.data.foreach_set("color", _rgba(part.colour))
    mesh.polygons.foreach_set("use_smooth", [smooth] * len(mesh.polygons))
    mesh.materials.append(surface)
    mesh.update()
    return _linked("mesh", mesh)


def light(scene: Any, rng: Rng) -> dict[str, float]:
    """A sky of two colours, and one to three lamps: a key light, often a rim light behind, sometimes a fill."""
    world = bpy.data.worlds.new("sky")
    scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    where, ramp = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeValToRGB")
    split, height = nodes.new("ShaderNodeSeparateXYZ"), nodes.new("ShaderNodeMapRange")
    height.inputs["From Min"].default_value = -1.0
    links.new(where.outputs["Generated"], split.inputs[0])
    links.new(split.outputs["Z"], height.inputs["Value"])
    links.new(height.outputs["Result"], ramp.inputs[0])
    links.new(ramp.outputs[0], nodes["Background"].inputs["Color"])
    warmth = rng.normal(0.0, 0.18, 2)
    for element, warm in zip(ramp.color_ramp.elements, warmth, strict=True):
        element.color = (float(np.exp(warm)), 1.0, float(np.exp(-warm)), 1.0)
    ambient = float(rng.uniform(0.12, 0.9))
    nodes["Background"].inputs["Strength"].default_value = ambient
    # a smooth sky needs no large importance map; the automatic one takes 2 s
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 64
    key = float(rng.uniform(120, 420)) * (1.15 - ambient)
    _lamp(rng, key, float(rng.uniform(0.3, 3.5)), rng.uniform(-2.4, 2.4), rng.uniform(0.2, 1.3))
    rim = float(rng.uniform(80, 500)) if rng.random() < 0.6 else 0.0
    if rim:
        _lamp(rng, rim, float(rng.uniform(0.3, 2.0)), np.pi + rng.uniform(-0.9, 0.9), rng.uniform(0.0, 1.0))
    if rng.random() < 0.4:
        _lamp(rng, 0.3 * key, 3.0, rng.uniform(-3, 3), rng.uniform(-0.5, 0.6))
    scene.view_settings.view_transform = str(rng.choice(["Standard", "AgX", "Filmic"]))
    scene.view_settings.exposure = float(rng.normal(0.0, 0.3))
    return {"ambient": round(ambient, 3), "key_w": round(key, 1), "rim_w": round(rim, 1)}


def _lamp(rng: Rng, watts: float, size: float, heading: float, height: float) -> None:
    """An area lamp 4 units away; heading 0 is the camera's side, height in radians above the horizon."""
    lamp = bpy.data.lights.new("lamp", "AREA")
    warm = float(rng.normal(0.0, 0.2))
    lamp.energy, lamp.size = watts, size
    lamp.color = (float(np.exp(warm)), 1.0, float(np.exp(-warm)))
    holder = _linked("lamp", lamp)
    direction = np.array(
        [np.sin(heading) * np.cos(height), -np.cos(heading) * np.cos(height), np.sin(height)]
    )
    holder.location = Vector(4.0 * direction)
    holder.rotation_euler = Vector(-direction).to_track_quat("-Z", "Y").to_euler()


def film(scene: Any, rng: Rng, points: Array, moving: list[Any]) -> dict[str, float]:
    """A camera that frames `points` (n, 3), with a lens, a depth of field and a motion drawn at random."""
    camera = bpy.data.cameras.new("camera")
    holder = _linked("camera", camera)
    scene.camera = holder
    camera.lens = float(rng.uniform(35, 110))
    centre = (points.min(0) + points.max(0)) / 2
    heading, height = rng.uniform(-0.6, 0.6), rng.uniform(-0.25, 0.55)
    away = np.array([np.sin(heading) * np.cos(height), -np.cos(heading) * np.cos(height), np.sin(height)])
    turn = Vector(-away).to_track_quat("-Z", "Y")
    right, up = np.array(turn @ Vector((1, 0, 0))), np.array(turn @ Vector((0, 1, 0)))
    sideways, upwards = (points - centre) @ right, (points - centre) @ up
    centre = centre + right * (sideways.max() + sideways.min()) / 2 + up * (upwards.max() + upwards.min()) / 2
    extent = max(np.ptp(sideways), np.ptp(upwards))
    fill = float(rng.uniform(*FILL))
    distance = float(extent / fill * camera.lens / camera.sensor_width) + 0.2 * float(
        np.ptp((points - centre) @ away)
    )
    holder.location = Vector(centre + away * distance)
    holder.rotation_mode = "QUATERNION"
    holder.rotation_quaternion = turn
    said = {"lens_mm": round(camera.lens, 1), "f_stop": 0.0, "motion": 0.0}
    if rng.random() < 0.45:
        camera.dof.use_dof = True
        camera.dof.focus_distance = distance + float(rng.normal(0.0, 0.15)) * extent
        # the blur of a point one extent behind the focus, as a share of the extent, through the thin lens
        blur = float(np.exp(rng.uniform(np.log(0.01), np.log(0.07))))
        aperture = blur * distance / 1.0
        camera.dof.aperture_fstop = max(0.02, camera.lens / 1000.0 / max(aperture, 1e-6))
        said["f_stop"] = round(camera.dof.aperture_fstop, 4)
    if rng.random() < 0.25:
        scene.render.use_motion_blur = True
        shift = unit(rng.normal(size=3)) * extent * np.exp(rng.uniform(np.log(0.006), np.log(0.05)))
        said["motion"] = round(float(np.linalg.norm(shift) / extent), 4)
        for thing in moving:
            for frame, sign in ((0, -1.0), (2, 1.0)):
                thing.location = Vector(sign * shift)
                thing.keyframe_insert("location", frame=frame)
        scene.frame_set(1)
    return said


def has_clear_surfaces() -> bool:
    """Whether the scene holds glass or a veil, which light crosses."""
    return any(made.name in ("glass", "veil") for made in bpy.data.materials)


def render(scene: Any, path: Path, opaque: bool) -> None:
    """Render to `path`, an 8-bit PNG with straight alpha, whole or not at all.

    Alpha is rendered by itself, without light, which has no part in it; where every surface is opaque, also without
    materials, as what a ray meets first decides it.
    """
    temporary = path.parent / ".part" / f".{path.name}"
    scene.cycles.samples, scene.cycles.use_denoising = COLOUR_SAMPLES, True
    pixels = _rendered(scene, temporary)
    scene.cycles.samples, scene.cycles.use_denoising = ALPHA_SAMPLES, False
    if opaque:
        bpy.context.view_layer.material_override = _emission()
    for thing in scene.objects:
        thing.hide_render = thing.hide_render or thing.type == "LIGHT"
    scene.world = None
    alpha = _rendered(scene, temporary)[..., 3]
    pixels[..., :3] = _filled(pixels[..., :3], pixels[..., 3])
    pixels[..., 3] = alpha
    image = bpy.data.images.new("result", SIDE_PX, SIDE_PX, alpha=True)
    image.pixels.foreach_set(np.ascontiguousarray(pixels, np.float32).ravel())
    image.filepath_raw, image.file_format = str(temporary), "PNG"
    image.save()
    temporary.replace(path)


def _rendered(scene: Any, path: Path) -> Array:
    """(H, W, 4), values as the PNG has them, colour not multiplied by alpha."""
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    pixels = np.empty(SIDE_PX * SIDE_PX * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(SIDE_PX, SIDE_PX, 4)


def _filled(colour: Array, alpha: Array) -> Array:
    """(H, W, 3): colour without the few samples' holes.

    What was denoised is colour times alpha, and alpha was not: where a few samples decide it, a pixel by itself would
    be too light or too dark. There both are taken from the 3 x 3 pixels around; where no sample met anything, from
    further on.
    """
    known, total = alpha.astype(np.float64), colour * alpha[..., None]
    partial = alpha < 1
    total = np.where(partial[..., None], _shifted_sum(total), total)
    known = np.where(partial, _shifted_sum(known[..., None])[..., 0], known)
    for _ in range(4):
        empty = known == 0
        total = np.where(empty[..., None], _shifted_sum(total), total)
        known = np.where(empty, _shifted_sum(known[..., None])[..., 0], known)
    return total / np.maximum(known, 1e-6)[..., None]


def _shifted_sum(image: Array) -> Array:
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    height, width = image.shape[:2]
    return sum(padded[i : i + height, j : j + width] for i in range(3) for j in range(3))


def _emission() -> Any:
    made = bpy.data.materials.new("alpha")
    made.use_nodes = True
    nodes = made.node_tree.nodes
    made.node_tree.links.new(
        nodes.new("ShaderNodeEmission").outputs[0], nodes["Material Output"].inputs["Surface"]
    )
    return made


def _linked(name: str, content: Any) -> Any:
    holder = bpy.data.objects.new(name, content)
    bpy.context.scene.collection.objects.link(holder)
    return holder


def _rgba(colour: Array) -> Array:
    return np.ascontiguousarray(np.concatenate([colour, np.ones((len(colour), 1))], 1), np.float32).ravel()
