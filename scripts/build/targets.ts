/** What differs between the platforms an executable can be built for. */
export interface Target {
  bunTarget: Bun.Build.CompileTarget;
  /** npm's words for the platform. */
  os: string;
  cpu: string;
  /** Package with Bun itself, and the path of the executable in it. */
  bunPackage: string;
  bunPath: string;
  /** Packages under @node-llama-cpp: the libraries, then extra backends added to them. */
  libraryPackage: string;
  backendPackages: readonly { gpu: string; package: string; optional: boolean }[];
  executableSuffix: string;
}

export type TargetName = "linux-x64" | "linux-arm64" | "darwin-arm64" | "windows-x64";

export const TARGETS: Readonly<Record<TargetName, Target>> = {
  "linux-x64": {
    bunTarget: "bun-linux-x64",
    os: "linux",
    cpu: "x64",
    bunPackage: "@oven/bun-linux-x64",
    bunPath: "bin/bun",
    libraryPackage: "linux-x64",
    backendPackages: [
      { gpu: "vulkan", package: "linux-x64-vulkan", optional: false },
      { gpu: "cuda", package: "linux-x64-cuda", optional: true },
    ],
    executableSuffix: "",
  },
  "linux-arm64": {
    bunTarget: "bun-linux-arm64",
    os: "linux",
    cpu: "arm64",
    bunPackage: "@oven/bun-linux-aarch64",
    bunPath: "bin/bun",
    libraryPackage: "linux-arm64",
    backendPackages: [],
    executableSuffix: "",
  },
  "darwin-arm64": {
    bunTarget: "bun-darwin-arm64",
    os: "darwin",
    cpu: "arm64",
    bunPackage: "@oven/bun-darwin-aarch64",
    bunPath: "bin/bun",
    libraryPackage: "mac-arm64-metal",
    backendPackages: [],
    executableSuffix: "",
  },
  "windows-x64": {
    bunTarget: "bun-windows-x64",
    os: "win32",
    cpu: "x64",
    bunPackage: "@oven/bun-windows-x64",
    bunPath: "bin/bun.exe",
    libraryPackage: "win-x64",
    backendPackages: [
      { gpu: "vulkan", package: "win-x64-vulkan", optional: false },
      { gpu: "cuda", package: "win-x64-cuda", optional: true },
    ],
    executableSuffix: ".exe",
  },
};

/** The target of the machine that builds. */
export function hostTarget(): string {
  const os = process.platform === "win32" ? "windows" : process.platform;
  return `${os}-${process.arch}`;
}
