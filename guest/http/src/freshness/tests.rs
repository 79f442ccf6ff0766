//! Names as build tools write them, and names as people do.

use super::*;

#[track_caller]
fn check(expected: bool, names: &[&str]) {
    for name in names {
        let found = has_hashed_name(name.as_bytes(), &Media::of(name.as_bytes()));
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn the_names_of_build_tools_are_recognised() {
    // Vite, and what is built on it.
    check(
        true,
        &[
            "assets/index-BfT3q_9x.js",
            "assets/index-C-T3q_9x.css",
            "assets/index-DiwrgTda.css",
            "assets/vendor-B2y0kUsn.js",
            "assets/main-BRBmoGS9.js",
            "assets/shared-B7PI925R.js",
            "assets/shared-ChJ_j-JJ.css",
            "assets/bar-gkvgaI9m.js",
            "assets/baz-B2H3sXNv.js",
            "assets/vendor-B2y0kUsn.js.map",
            "assets/index-BfT3q_9x.js.br",
            "assets/react-CHdo91hT.svg",
            "_astro/hoisted.3f9a01bc.js",
            "_astro/index-Q2gKx7Zd.css",
            "_app/immutable/chunks/index-BfT3q_9x.js",
            "_nuxt/entry-D9x1sKqV.js",
            "assets/index.3f9a01bc.js",
            "index-BfT3q_9x.js",
        ],
    );
    // webpack, and Create React App.
    check(
        true,
        &[
            "main.3f9a01bc22e1d4a5b6c7.js",
            "787.3f9a01bc.chunk.js",
            "static/js/main.073c9b0a.js",
            "static/media/logo.6ce24c58023cc2f8fd88fe9d219db6c6.svg",
            "3f9a01bc22e1d4a5b6c7.png",
            "main.3f9a01bc22e1d4a5b6c7.js.map",
        ],
    );
    // esbuild.
    check(true, &["app-5QXJ2VTZ.js", "out/chunk-KX7B2MNO.js", "logo-EZY4WJ2Q.png", "app-5QXJ2VTZ.js.map"]);
    // Next.js.
    check(
        true,
        &[
            "_next/static/chunks/main-3f9a01bc22e1d4a5.js",
            "_next/static/chunks/787-073c9b0ac9a5bc6a.js",
            "_next/static/css/3f9a01bc22e1d4a5.css",
            "_next/static/media/c9a5bc6a7c948fb0-s.p.woff2",
            "_next/static/media/logo.073c9b0a.png",
            "_next/static/chunks/pages/_app-3f9a01bc22e1d4a5.js",
        ],
    );
    // Hugo.
    let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    check(
        true,
        &[
            &format!("css/main.min.{sha256}.css"),
            &format!("js/bundle.{}.js", "3f9a01bc".repeat(16)),
            "photo_hu3f9a01bc22e1d4a53f9a01bc22e1d4a5_11674_600x400_resize_q75_box.jpg",
            "featured.jpg_hu44047db731b94227537d7d3e39d43169_11674_1200x2500_fit_q75_h2_lanczos_3.webp",
            "sunset_hu_9750ee3f5d5a1b2c.jpg",
        ],
    );
    // Parcel.
    check(true, &["index.3f9a01bc.js", "style.073c9b0a.css", "logo.a1b2c3d4.png"]);
    // rustdoc.
    check(true, &["static.files/rustdoc-ac92e1bbe349e143.css", "static.files/FiraSans-Italic-81dc35de.woff2"]);
}

#[test]
fn dates_versions_sizes_and_sentences_are_no_hashes() {
    check(
        false,
        &[
            "price-list-2025-en.pdf",
            "roboto-v30-latin-regular.woff2",
            "photo-of-2024-06.jpg",
            "live-stream-1-720p.m3u8",
            "live-stream-1-1080p.mp4",
            "report-20240229.pdf",
            "photo-20240229.jpg",
            "photo.20240229.jpg",
            "IMG_20240229_101112.jpg",
            "photo-2024dec2.png",
            "photo-1dec2024.png",
            "scan-DSC24567.jpg",
            "scan-IMG24567.jpg",
            "holiday-DSC_0123.jpg",
            "bootstrap5.min.js",
            "my-bootstrap5.js",
            "jquery-3.7.1.min.js",
            "jquery-3.7.1.slim.min.js",
            "app-1.2.3-beta4.js",
            "app-v2024.10.js",
            "logo-1920x1080.png",
            "banner-300x250-2x.png",
            "icon-512x512.png",
            "favicon-32x32.png",
            "logo-OpenSans.svg",
            "photo-iPhone15.jpg",
            "guide-iOS17-v2.png",
            "setup-Win11x64.png",
            "the-Big-Book.png",
            "chunks/setup-Win11x64.png",
            "assets/track-01_Intro.mp3",
            "assets/logo-MyStreet.png",
            "assets/app-MyScript.js",
            "assets/theme-DateTime.css",
            "assets/slider-jQuery13.js",
            "assets/hero-Summer24.webp",
            "assets/photo-IMG_0001.jpg",
            "assets/icon-ABCDEFGH.svg",
            "assets/logo-LOGO2024.css",
            "how-to-make-it-in-10-days.js",
            "facade01.png",
            "x-facade01.png",
            "x.decade80.png",
            "LICENSE-TEMPLATE.js",
            "README-ABCDEFGH.svg",
            "style.css",
            "sw.js",
            "a-3f9a01b.js",
            "3f9a01bc.js",
            "3f9a01bc22e1d4/style.css",
            "x-3f9a01bc22e1d4",
            "x.3f9a01bc22e1d4",
            "song_huge.mp3",
            "x_hu_20240229.jpg",
            "",
            "-.-",
            ".",
            "..js",
        ],
    );
}

#[test]
fn a_page_and_a_document_are_asked_for_again() {
    check(
        false,
        &[
            "index-BfT3q_9x.html",
            "assets/index-BfT3q_9x.html",
            "paper-5QXJ2VTZ.pdf",
            "feed.3f9a01bc.xml",
            "list.3f9a01bc.json",
            "live.3f9a01bc.m3u8",
            "data.3f9a01bc.zip",
        ],
    );
}
