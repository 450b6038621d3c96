// OpenAI's own library: `chat` or `responses`.
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { Calls, MOST, PARAMETERS, PIXEL, Person, joined, kind, serve, token, url } from "./jobs.mjs";

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: token, maxRetries: 0 });
const user = (content) => [{ role: "user", content }];
const picture = `data:image/png;base64,${PIXEL}`;

const chat = {
  async ask(job, content) {
    const answer = await openai.chat.completions.create({ model: job.model, messages: user(content) });
    return { text: answer.choices[0].message.content };
  },
  whole: (job) => chat.ask(job, job.say),
  refused: (job) => chat.ask(job, job.say),
  image: (job) =>
    chat.ask(job, [{ type: "text", text: job.say }, { type: "image_url", image_url: { url: picture } }]),
  async streamed(job) {
    const stream = await openai.chat.completions.create({ model: job.model, messages: user(job.say), stream: true });
    const parts = [];
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) parts.push(chunk.choices[0].delta.content);
    return joined(parts);
  },
  broken: (job) => chat.streamed(job),
  async loop(job, stream = false) {
    const calls = new Calls();
    const tools = Object.entries(PARAMETERS).map(([name, parameters]) => ({
      type: "function",
      function: { name, parameters, parse: JSON.parse, function: (given) => calls.run(name, given) },
    }));
    const runner = openai.chat.completions.runTools({ model: job.model, messages: user(job.say), tools, stream });
    return { text: await runner.finalContent(), calls };
  },
  loop_streamed: (job) => chat.loop(job, true),
  async structured(job) {
    const response_format = zodResponseFormat(Person, "person");
    const answer = await openai.chat.completions.parse({ model: job.model, messages: user(job.say), response_format });
    return { value: answer.choices[0].message.parsed };
  },
};

const responses = {
  whole: async (job) => ({ text: (await openai.responses.create({ model: job.model, input: job.say })).output_text }),
  refused: (job) => responses.whole(job),
  async image(job) {
    const content = [
      { type: "input_text", text: job.say },
      { type: "input_image", image_url: picture, detail: "auto" },
    ];
    return { text: (await openai.responses.create({ model: job.model, input: user(content) })).output_text };
  },
  async streamed(job) {
    const parts = [];
    for await (const event of await openai.responses.create({ model: job.model, input: job.say, stream: true })) {
      if (event.type === "response.output_text.delta") parts.push(event.delta);
      // The library leaves it to its caller.
      if (event.type === "error" || event.type === "response.failed") throw new Error(JSON.stringify(event));
    }
    return joined(parts);
  },
  broken: (job) => responses.streamed(job),
  async loop(job, stream = false) {
    const calls = new Calls();
    const tools = Object.entries(PARAMETERS).map(([name, parameters]) => ({
      type: "function",
      name,
      parameters,
      strict: true,
    }));
    const input = user(job.say);
    for (;;) {
      const asked = { model: job.model, input, tools, store: false, include: ["reasoning.encrypted_content"] };
      const answer = await (stream
        ? openai.responses.stream(asked).finalResponse()
        : openai.responses.create(asked));
      const called = answer.output.filter((item) => item.type === "function_call");
      if (!called.length || calls.length >= MOST) return { text: answer.output_text, calls };
      for (const { parsed_arguments, ...item } of answer.output) input.push(item);
      for (const { name, call_id, arguments: given } of called) {
        input.push({ type: "function_call_output", call_id, output: calls.run(name, JSON.parse(given)) });
      }
    }
  },
  loop_streamed: (job) => responses.loop(job, true),
  async structured(job) {
    const text = { format: zodTextFormat(Person, "person") };
    return { value: (await openai.responses.parse({ model: job.model, input: job.say, text })).output_parsed };
  },
};

await serve({ chat, responses }[kind]);
