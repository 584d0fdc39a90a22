"""Driving a phone from the desktop: Android by adb, iOS by Xcode's tools, and what both end in, a stored report."""
