// Anthropic's own library, its runner of tools included.
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { Calls, MOST, PARAMETERS, PIXEL, Person, joined, serve, token, url } from "./jobs.mjs";

const anthropic = new Anthropic({ baseURL: url, apiKey: token, maxRetries: 0 });
const asked = (job, content = job.say) => ({
  model: job.model,
  max_tokens: 1024,
  messages: [{ role: "user", content }],
});
const told = (answer) =>
  answer.content
    .filter((block) => block.type === "text")
    .map((block) => block.text)
    .join("");

const messages = {
  whole: async (job) => ({ text: told(await anthropic.messages.create(asked(job))) }),
  refused: (job) => messages.whole(job),
  async image(job) {
    const source = { type: "base64", media_type: "image/png", data: PIXEL };
    const content = [{ type: "image", source }, { type: "text", text: job.say }];
    return { text: told(await anthropic.messages.create(asked(job, content))) };
  },
  async streamed(job) {
    const parts = [];
    for await (const event of anthropic.messages.stream(asked(job))) {
      if (event.type === "content_block_delta" && event.delta.type === "text_delta") parts.push(event.delta.text);
    }
    return joined(parts);
  },
  broken: (job) => messages.streamed(job),
  async loop(job, stream = false) {
    const calls = new Calls();
    const tools = Object.entries(PARAMETERS).map(([name, inputSchema]) =>
      betaTool({ name, inputSchema, description: name, run: (given) => calls.run(name, given) }),
    );
    const runner = anthropic.beta.messages.toolRunner({ ...asked(job), tools, stream, max_iterations: MOST });
    let answer;
    for await (const turn of runner) answer = stream ? await turn.finalMessage() : turn;
    return { text: told(answer), calls };
  },
  loop_streamed: (job) => messages.loop(job, true),
  async structured(job) {
    const output_config = { format: zodOutputFormat(Person) };
    return { value: (await anthropic.messages.parse({ ...asked(job), output_config })).parsed_output };
  },
};

await serve(messages);
