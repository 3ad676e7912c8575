using System.Net;
using Amazon.Runtime;
using Amazon.S3;

namespace Mirror.Storage.Buckets.S3;

/// <summary>
/// How the store is asked: each question is bounded in time, each way of getting no answer is a <see cref="StoreUnavailableException"/>, and while the
/// store is away that comes at once (<see cref="Breaker"/>).
/// </summary>
internal sealed class S3Calls : IDisposable
{
    // What says that we are not known, other than that we may not do this or that.
    private static readonly string[] UnknownToStore = ["ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired"];

    private readonly string _name;
    private readonly TimeProvider _time;
    private readonly Breaker _breaker;

    /// <param name="name">What the store is called in messages.</param>
    /// <param name="probe">A small question, which tells whether the store is back.</param>
    public S3Calls(string name, TimeProvider time, Func<CancellationToken, Task> probe)
    {
        (_name, _time) = (name, time);
        _breaker = new Breaker(time, async stop => _ = await PatientlyAsync(SmallLimit, async token =>
        {
            await probe(token);
            return true;
        }, stop));
    }

    /// <summary>How long a small question and its repetitions may take.</summary>
    public TimeSpan SmallLimit { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Asks a small question; null where the store says that there is no such thing.</summary>
    public async ValueTask<T?> FindAsync<T>(Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken) where T : class
    {
        try
        {
            return await AskAsync(SmallLimit, ask, cancellationToken);
        }
        catch (StoreUnavailableException missing) when (missing.InnerException is AmazonS3Exception { StatusCode: HttpStatusCode.NotFound, ErrorCode: not "NoSuchBucket" })
        {
            return null;
        }
    }

    /// <summary>Asks, as long as the store is not known to be away.</summary>
    /// <param name="limit">How long the question and its repetitions may take.</param>
    /// <exception cref="StoreUnavailableException">There was no answer, or a refusal, which is then the inner exception.</exception>
    public async ValueTask<T> AskAsync<T>(TimeSpan limit, Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
    {
        _breaker.ThrowIfAway();
        try
        {
            var answer = await PatientlyAsync(limit, ask, cancellationToken);
            _breaker.Succeeded();
            return answer;
        }
        catch (StoreUnavailableException failure)
        {
            if (failure.InnerException is AmazonServiceException { StatusCode: >= HttpStatusCode.BadRequest and < HttpStatusCode.InternalServerError } refusal
                && !UnknownToStore.Contains(refusal.ErrorCode))
                _breaker.Succeeded();
            else
                _breaker.Failed(failure);
            throw;
        }
    }

    private async ValueTask<T> PatientlyAsync<T>(TimeSpan limit, Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(limit, _time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            return await ask(stop.Token);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        catch (OperationCanceledException slow)
        {
            throw new StoreUnavailableException($"{_name} did not answer within {limit.TotalSeconds:0} s.", slow);
        }
        catch (Exception failure) when (failure is AmazonServiceException or AmazonClientException or HttpRequestException or IOException and not StoreUnavailableException)
        {
            throw Unavailable(failure);
        }
    }

    public StoreUnavailableException Unavailable(Exception failure) => new(
        failure is AmazonServiceException { ErrorCode: { Length: > 0 } code } ? $"{_name} refused: {code}: {failure.Message}" : $"{_name} cannot be reached: {failure.Message}", failure);

    public void Dispose() => _breaker.Dispose();
}
