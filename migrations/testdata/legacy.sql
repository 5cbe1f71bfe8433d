-- The database of the old program, as it was before the migration: three tables without row security in schema public,
-- its own column names, types and spellings, another table of its own, and its login, which owns everything.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tracker') THEN CREATE ROLE tracker LOGIN PASSWORD 'tracker'; END IF;
END $$;
GRANT CREATE ON SCHEMA public TO tracker;
SET ROLE tracker;
CREATE TABLE public.users (
  id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  email         varchar(255) NOT NULL UNIQUE,
  name          varchar(100),
  password_hash text,
  avatar_url    text,
  plan          text NOT NULL DEFAULT 'free',
  role          text NOT NULL DEFAULT 'MEMBER',
  currency      char(3) NOT NULL DEFAULT 'USD',
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now());
CREATE TABLE public.portfolios (
  id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id     uuid NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  name        varchar(100) NOT NULL,
  description text,
  currency    char(3) NOT NULL DEFAULT 'USD',
  is_default  boolean NOT NULL DEFAULT false,
  created_at  timestamptz NOT NULL DEFAULT now());
CREATE INDEX portfolios_user_id_idx ON public.portfolios (user_id);
CREATE TABLE public.transactions (
  id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  portfolio_id uuid NOT NULL REFERENCES public.portfolios (id) ON DELETE CASCADE,
  symbol       varchar(20) NOT NULL,
  type         varchar(10) NOT NULL CHECK (type IN ('BUY', 'SELL', 'DIVIDEND')),
  quantity     numeric(20,8) NOT NULL,
  price        numeric(20,8) NOT NULL,
  fees         numeric(20,8) NOT NULL DEFAULT 0,
  date         date NOT NULL,
  broker       text,
  notes        text,
  created_at   timestamptz NOT NULL DEFAULT now());
CREATE INDEX transactions_portfolio_id_idx ON public.transactions (portfolio_id);
CREATE TABLE public.watchlist (
  user_id uuid NOT NULL REFERENCES public.users (id) ON DELETE CASCADE,
  symbol  varchar(20) NOT NULL,
  PRIMARY KEY (user_id, symbol));

INSERT INTO public.users (id, email, name, password_hash, plan, role, currency, created_at) VALUES
  ('11111111-1111-4111-8111-111111111111', 'Alice@Example.com', 'Alice', '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', 'pro', 'MEMBER', 'USD', '2021-03-01 09:00+00'),
  ('22222222-2222-4222-8222-222222222222', 'bob@example.com', NULL, NULL, 'free', 'MEMBER', 'EUR', '2022-05-02 10:00+00'),
  ('33333333-3333-4333-8333-333333333333', 'root@example.com', 'Root', NULL, 'free', 'ADMIN', 'USD', '2020-01-01 00:00+00');
INSERT INTO public.portfolios (id, user_id, name, description, currency, is_default) VALUES
  ('aaaaaaaa-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'Pension', 'for later', 'USD', true),
  ('aaaaaaaa-0000-4000-8000-000000000002', '11111111-1111-4111-8111-111111111111', 'Play', NULL, 'EUR', false),
  ('bbbbbbbb-0000-4000-8000-000000000001', '22222222-2222-4222-8222-222222222222', 'Depot', NULL, 'EUR', true);
INSERT INTO public.transactions (portfolio_id, symbol, type, quantity, price, fees, date, broker, notes)
SELECT p.id, (ARRAY['AAPL', 'msft', 'BRK.B'])[1 + n % 3], (ARRAY['BUY', 'BUY', 'DIVIDEND', 'SELL'])[1 + n % 4],
       CASE WHEN n % 4 = 3 THEN -1 ELSE 1 END * (1 + n % 7 + 0.12345678), 100 + n, 0.5, date '2021-04-01' + n, 'broker ' || n % 2, CASE WHEN n % 5 = 0 THEN 'note ' || n END
  FROM public.portfolios p, generate_series(0, 199) n;
INSERT INTO public.watchlist VALUES ('11111111-1111-4111-8111-111111111111', 'TSLA'), ('22222222-2222-4222-8222-222222222222', 'NVDA');
RESET ROLE;
