/** What can be asked of the run; it answers with a promise that fails with the server's words. */
export interface Ask {
  (what: string, value?: unknown): Promise<void>;
}
