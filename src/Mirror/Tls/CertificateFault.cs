namespace Mirror.Tls;

/// <summary>Why a certificate does not count.</summary>
public enum CertificateFault
{
    /// <summary>No known authority has signed it.</summary>
    OtherAuthority,

    /// <summary>It, or one that signed it, is not valid now.</summary>
    NotInTime,

    /// <summary>It is for another use than the one that is asked for.</summary>
    OtherUse,
}
