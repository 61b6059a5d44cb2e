// Asking the service that the page came from: keys, problems, and asking again where it is busy.

const MOST_TRIES = 6;

/** What went wrong, in words for a reader. */
class ServiceProblem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

class ServiceCalls {
  /** `busy(seconds)` is called where the service is full and will be asked again. */
  constructor(busy) {
    this.key = "";
    this.busy = busy;
  }

  async send(path, body) {
    for (let tries = 1; ; tries += 1) {
      const reply = await this.once(path, body);
      if (reply.ok) return reply.json();
      if (![429, 503].includes(reply.status) || tries === MOST_TRIES) throw await problemOf(reply);
      const seconds = Math.min(30, Math.max(1, Number(reply.headers.get("Retry-After")) || 1));
      this.busy(seconds);
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    }
  }

  async once(path, body) {
    const headers = this.key ? { Authorization: `Bearer ${this.key}` } : {};
    const options = body === undefined ? { headers } : { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
    try {
      return await fetch(path, options);
    } catch {
      throw new ServiceProblem(0, "The service does not answer. Is it still running?");
    }
  }
}

async function problemOf(reply) {
  let problem = {};
  try {
    problem = await reply.json();
  } catch {
    // not a problem of the service's own
  }
  const listed = (problem.errors ?? []).map((each) => `${each.where.replace(/^body\.(one\.|several\.)?/, "")}: ${each.problem}`);
  return new ServiceProblem(reply.status, [problem.detail ?? `The service answered ${reply.status}.`, ...listed].join(" "));
}
