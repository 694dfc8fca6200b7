// Who are you.

import { useSignal } from "@preact/signals";
import { explain } from "../state/actions";
import { isDemo, logIn, logInToDemo } from "../state/session";
import { say } from "../strings/say";

export function LogIn() {
  const problem = useSignal<string | null>(null);
  const attempt = async (work: Promise<void>) => {
    try {
      await work;
    } catch (error) {
      problem.value = explain(error);
    }
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    void attempt(logIn(String(form.get("email")), String(form.get("password"))));
  };
  return (
    <main class="login">
      <h1>{say("shell.title")}</h1>
      {isDemo && (
        <button class="button primary" onClick={() => void attempt(logInToDemo())}>
          {say("shell.demo")}
        </button>
      )}
      <form onSubmit={submit}>
        <label>
          <span class="label">{say("shell.email")}</span>
          <input class="field" name="email" type="email" autocomplete="username" required />
        </label>
        <label>
          <span class="label">{say("shell.password")}</span>
          <input class="field" name="password" type="password" autocomplete="current-password" required />
        </label>
        <p class="error" role="alert">{problem.value}</p>
        <button class={isDemo ? "button" : "button primary"} type="submit">{say("shell.log_in")}</button>
      </form>
    </main>
  );
}
