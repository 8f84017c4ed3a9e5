/** An engine that only answers `--probe`: with the devices that its first word lists, or as it says. */
const [devices = "[]"] = process.argv.slice(2);
if (devices === "crash") process.kill(process.pid, "SIGSEGV");
console.log("a driver says something first");
console.log(
  JSON.stringify({
    release: "v0.5.0",
    features: "",
    cpuVariant: null,
    threads: 1,
    devices: JSON.parse(devices) as unknown,
  }),
);
