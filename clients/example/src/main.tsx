/** Opens the page; the address of the API, the market and the wallet are in the query of its own address. */

import { createRoot } from "react-dom/client";
import { Zmart } from "zmart-client";
import { App } from "./app";

const query = new URLSearchParams(location.search);
const zmart = new Zmart(query.get("api") ?? "http://127.0.0.1:4000");
createRoot(document.getElementById("root")!).render(
  <App zmart={zmart} firstMarket={query.get("market")} wallet={query.get("wallet")} />,
);
