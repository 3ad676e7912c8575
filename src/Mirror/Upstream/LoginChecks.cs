using System.Collections.Concurrent;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// After a 401: does upstream refuse the login of an account, or only one repository to it? A request that names no repository tells. It is
/// not sent for a minute after upstream has answered it for the account, so mistyped names cost upstream little.
/// </summary>
internal sealed class LoginChecks(TimeProvider time)
{
    private static readonly TimeSpan Memory = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<Account, (bool? IsRefused, long At)> _known = new();
    private readonly SingleFlight<Account, bool?> _running = new();

    /// <summary>Whether upstream refuses the login; null if upstream's answer does not tell.</summary>
    /// <param name="ask">Sends the request that names no repository.</param>
    public async Task<bool?> IsRefusedAsync(
        Account account, Func<CancellationToken, Task<bool?>> ask, CancellationToken cancellationToken)
    {
        if (_known.TryGetValue(account, out var known) && time.GetElapsedTime(known.At) < Memory)
            return known.IsRefused;
        return (await _running.JoinOrStart(account, stop => AskAsync(account, ask, stop), cancellationToken)).Result;
    }

    /// <summary>Forgets that upstream refused the login, because it has accepted it since.</summary>
    public void Accepted(Account account)
    {
        if (_known.TryGetValue(account, out var known) && known.IsRefused == true)
            _known.TryRemove(new(account, known));
    }

    private async Task<bool?> AskAsync(Account account, Func<CancellationToken, Task<bool?>> ask, CancellationToken cancellationToken)
    {
        try
        {
            var isRefused = await ask(cancellationToken);
            _known[account] = (isRefused, time.GetTimestamp());
            return isRefused;
        }
        catch (Exception failure) when (failure is UpstreamException || UpstreamRequest.IsNoAnswer(failure))
        {
            // The next 401 asks again: a lost connection says nothing about the login.
            return null;
        }
    }
}
