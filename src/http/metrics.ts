/**
 * Counters, gauges and histograms in the Prometheus text format, version 0.0.4. Label values that stay
 * come from the catalog and the route table only, so the number of series is bounded; names that
 * clients chose are those of what is in memory at the scrape.
 */
export class Registry {
  readonly #metrics: { render(): string }[] = [];

  counter(name: string, help: string): Counter {
    return this.#add(new Counter(name, help, "counter"));
  }

  /** A value that goes up and down. */
  gauge(name: string, help: string): Counter {
    return this.#add(new Counter(name, help, "gauge"));
  }

  /** @param bounds Upper bounds of the buckets, ascending; +Inf is implied. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    return this.#add(new Histogram(name, help, bounds));
  }

  render(): string {
    return this.#metrics.map((metric) => metric.render()).join("");
  }

  #add<Metric extends { render(): string }>(metric: Metric): Metric {
    this.#metrics.push(metric);
    return metric;
  }
}

export type Labels = Readonly<Record<string, string | number>>;

const NO_LABELS: Labels = Object.freeze({});

/** `{a="b"}` with quotes, backslashes and line ends escaped; "" without labels. */
function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => {
    const escaped = String(value)
      .replaceAll("\\", "\\\\")
      .replaceAll('"', '\\"')
      .replaceAll("\n", "\\n");
    return `${key}="${escaped}"`;
  });
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

const header = (name: string, help: string, type: string): string =>
  `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;

/** A number per set of labels. */
export class Counter {
  readonly #name: string;
  readonly #header: string;
  readonly #values = new Map<string, number>();

  constructor(name: string, help: string, type: "counter" | "gauge") {
    this.#name = name;
    this.#header = header(name, help, type);
  }

  add(amount: number, labels: Labels = NO_LABELS): void {
    const key = labelText(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount);
  }

  set(value: number, labels: Labels = NO_LABELS): void {
    this.#values.set(labelText(labels), value);
  }

  /** Forgets every series: for gauges that are read anew at each scrape. */
  clear(): void {
    this.#values.clear();
  }

  render(): string {
    let text = this.#header;
    for (const [labels, value] of this.#values) text += `${this.#name}${labels} ${value}\n`;
    return text;
  }
}

/** How often a value fell below each bound, per set of labels. */
export class Histogram {
  readonly #name: string;
  readonly #header: string;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.#name = name;
    this.#header = header(name, help, "histogram");
    this.#bounds = bounds;
  }

  /** The series of these labels. Keep it where values come often: it needs no further lookup. */
  labels(labels: Labels): Series {
    const key = labelText(labels);
    const known = this.#series.get(key);
    if (known) return known;
    const series = new Series(labels, this.#bounds);
    this.#series.set(key, series);
    return series;
  }

  render(): string {
    let text = this.#header;
    for (const series of this.#series.values()) text += series.render(this.#name);
    return text;
  }
}

export class Series {
  readonly #labels: Labels;
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.#labels = labels;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? Infinity)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  render(name: string): string {
    let text = "";
    let total = 0;
    for (const [index, count] of this.#counts.entries()) {
      total += count;
      const le = this.#bounds[index] ?? "+Inf";
      text += `${name}_bucket${labelText({ ...this.#labels, le })} ${total}\n`;
    }
    const labels = labelText(this.#labels);
    return `${text}${name}_sum${labels} ${this.#sum}\n${name}_count${labels} ${total}\n`;
  }
}
