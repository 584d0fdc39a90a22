plugins {
    alias(libs.plugins.android.application)
}

/** Build, artifacts and golden case: written by `make android-assets` and `make apk`. */
val staged = rootDir.resolve("../build/android/assets")

android {
    namespace = "igf.app"
    compileSdk = libs.versions.compileSdk.get().toInt()

    defaultConfig {
        applicationId = "igf.mobile.demo"
        minSdk = libs.versions.minSdk.get().toInt()
        targetSdk = libs.versions.targetSdk.get().toInt()
        versionCode = libs.versions.appCode.get().toInt()
        versionName = libs.versions.app.get()
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }

    sourceSets["main"].assets.srcDir(staged)
    packaging { jniLibs.pickFirsts += "**/libc++_shared.so" }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
}

dependencies {
    implementation(project(":core"))
    implementation(libs.litert)
    implementation(libs.litert.gpu)
    implementation(libs.litert.gpu.api)
    implementation(libs.executorch)
}

tasks.named("preBuild") {
    doFirst {
        check(staged.resolve("build/manifest.json").isFile) { "there is no build in $staged; run `make export android-assets` first" }
    }
}
